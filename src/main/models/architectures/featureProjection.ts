import { type EncoderContext, foldRows, type Initialisation } from './context.ts';
import { layerNorm, linear, swapAxes } from './layers.ts';

/**
 * From the front end's channels to the encoder's width.
 * @param features [batch, channels, frames]
 * @returns rows [batch x frames, width]
 */
export function featureProjection(context: EncoderContext, features: string): string {
  const { config } = context;
  const channels = config.conv_dim[config.conv_dim.length - 1];
  let rows = foldRows(context, swapAxes(context, features), channels);
  if (config.model_type !== 'hubert' || config.feat_proj_layer_norm)
    rows = layerNorm(context, rows, 'feature_projection.layer_norm', channels, config.layer_norm_eps);
  const uniform: Initialisation = { draw: 'uniform', bound: 1 / Math.sqrt(channels) };
  const init = config.model_type === 'hubert' ? {} : { weight: uniform, bias: uniform };
  return linear(context, rows, 'feature_projection.projection', { from: channels, to: config.hidden_size, ...init });
}
