import { spawn } from 'node:child_process';

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a window opened by this process would be seen by who started it. */
export function hasScreen(env: Environment = process.env, platform: NodeJS.Platform = process.platform): boolean {
  if (env.SSH_CONNECTION !== undefined || env.SSH_TTY !== undefined || env.CI !== undefined) return false;
  return platform === 'win32' || platform === 'darwin' || Boolean(env.DISPLAY ?? env.WAYLAND_DISPLAY);
}

function opener(platform: NodeJS.Platform): [command: string, ...arguments_: string[]] {
  switch (platform) {
    case 'win32':
      return ['rundll32', 'url.dll,FileProtocolHandler'];
    case 'darwin':
      return ['open'];
    default:
      return ['xdg-open'];
  }
}

/** Opens an address in the user's browser; where that does not work nothing happens, for the address is printed as well. */
export function openBrowser(url: string, platform: NodeJS.Platform = process.platform): void {
  const [command, ...before] = opener(platform);
  const child = spawn(command, [...before, url], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}
