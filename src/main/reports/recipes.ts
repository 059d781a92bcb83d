import { type RecipeRecord } from '#shared/project.ts';

export type RecipeEntry = readonly [key: string, value: string];

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** A JSON value as lines "key.inner[2]: text", in its own order. Lists longer than `most` are cut and say how much is left out. */
export function flattenRecipe(value: unknown, most = Infinity, key = ''): RecipeEntry[] {
  if (isRecord(value)) {
    return Object.entries(value).flatMap(([name, inner]) => flattenRecipe(inner, most, key === '' ? name : `${key}.${name}`));
  }
  if (!Array.isArray(value)) return [[key, typeof value === 'string' ? value : JSON.stringify(value)]];
  const shown = value.slice(0, most);
  const left = value.length - shown.length;
  const rest = left > 0 ? `and ${left} more, in the project file` : '';
  if (shown.every((item) => item === null || typeof item !== 'object')) {
    const items = [...shown.map(String), ...(rest === '' ? [] : [rest])];
    return [[key, items.length > 0 ? items.join(', ') : 'none']];
  }
  const entries = shown.flatMap((item, index) => flattenRecipe(item, most, `${key}[${index + 1}]`));
  return rest === '' ? entries : [...entries, [key, rest]];
}

/** Recipes for reading: what all of them share told once, and what is each one's own. */
export interface RecipeDigest {
  shared: RecipeEntry[];
  /** Short names R1, R2, ... in the order of the recipes. */
  own: { name: string; id: number; entries: RecipeEntry[] }[];
}

const listLimit = 12;

export function digestRecipes(recipes: readonly RecipeRecord[]): RecipeDigest {
  const flat = recipes.map(({ id, recipe }, index) => ({ id, name: `R${index + 1}`, entries: flattenRecipe(recipe, listLimit) }));
  const [first, ...others] = flat;
  if (first === undefined) return { shared: [], own: [] };
  const maps = others.map(({ entries }) => new Map(entries));
  const shared = first.entries.filter(([key, value]) => maps.every((map) => map.get(key) === value));
  const sharedKeys = new Set(shared.map(([key]) => key));
  return { shared, own: flat.map((recipe) => ({ ...recipe, entries: recipe.entries.filter(([key]) => !sharedKeys.has(key)) })) };
}
