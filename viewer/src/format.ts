// Units that people read: the same rules as the command line's (cli/units.c), three digits that say something.

function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value: number, base: number, units: string[], space: string): string {
  const sign = value < 0 ? "−" : "";
  let magnitude = Math.abs(value), unit = 0;
  if (magnitude < base) return `${sign}${Number.isInteger(magnitude) ? magnitude : threeDigits(magnitude)}${units[0] ? space + units[0] : ""}`;
  while (unit < units.length - 1 && magnitude >= (unit ? base * 0.9995 : base)) { magnitude /= base; unit++; }
  return `${sign}${threeDigits(magnitude)}${space}${units[unit]}`;
}

export const formatBytes = (value: number): string => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], " ");
export const formatCount = (value: number): string => scaled(value, 1000, ["", "k", "M", "G", "T"], "");
export const formatExact = (value: number): string => Math.round(value).toLocaleString("en-US");

export function formatTime(ns: number): string {
  const s = ns / 1e9;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  if (s >= 60) return `${Math.floor(s / 60)} min ${String(Math.floor(s % 60)).padStart(2, "0")} s`;
  if (s >= 1) return `${threeDigits(s)} s`;
  return s >= 1e-3 ? `${threeDigits(s * 1e3)} ms` : `${threeDigits(s * 1e6)} µs`;
}

export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent === 0) return "0 %";
  return percent >= 10 ? `${percent.toFixed(0)} %` : percent >= 0.1 ? `${percent.toFixed(1)} %` : "<0.1 %";
}

/** Of bytes in so many blocks, estimated from a sample by this interval: as cli/estimate.c has it, of blocks of their mean size. 0: exact. */
export function standardError(bytes: number, count: number, intervalBytes: number): number {
  if (!(intervalBytes > 0 && bytes > 0 && count > 0)) return 0;
  const size = bytes / count;
  return Math.sqrt(bytes * size / Math.expm1(size / intervalBytes));
}

export const formatDelta = (value: number, format: (value: number) => string): string =>
  value > 0 ? `+${format(value)}` : value === 0 ? "0" : `−${format(-value)}`;
