// What heapline put into the page, decoded: the document of cli/viewer_document.c.

export const MEASURES = [
  "peak_bytes", "peak_allocations", "live_bytes", "live_allocations", "allocated_bytes", "allocations", "temporary_allocations",
  "copied_bytes", "copies",
] as const;
export type Measure = (typeof MEASURES)[number];
export type Figures = Record<Measure, number[]>;

export const KINDS = ["python", "native", "cut", "tag"];
export const TAG = 3;
/** Of a row of a comparison (cli/viewer_diff.c). */
export const STATUSES = ["same", "noise", "grew", "shrank", "new", "gone"];
export const ORIGINS = ["user", "package", "stdlib", "import", "native", "system"];
export const ORIGIN_TITLES = ["your code", "packages", "standard library", "imports", "native code", "system and interpreter"];

export interface Summary {
  trace: string; command: string; ending: string; complete: boolean; pid: number; parent_pid: number; start_realtime_ns: number;
  duration_ns: number; peak_bytes: number; peak_time_ns: number; peak_rss_bytes: number; event_count: number; allocated_bytes: number;
  allocations: number; temporary_allocations: number; live_bytes_at_end: number; live_allocations_at_end: number; copied_bytes: number;
  copies: number; lost_events: number; sampling_interval_bytes: number; peak_bytes_error: number; allocated_bytes_error: number;
  stream_end_ns: number; events_from_ns: number;
}

export interface StackFrame { kind: string; function: string | null; file: string | null; line: number | null; module: string | null }

export interface LeakCandidate {
  file: string | null; line: number | null; function: string | null; live_bytes: number; live_allocations: number;
  growth_bytes_per_second: number; confidence: number; shape: string; evidence: string; window_bytes: number[]; allocations: number;
  stacks: number; since_ns: number | null; live_bytes_at_end: number; frames: StackFrame[];
  leak: number | null; in_step_with: number | null; // which one it belongs to; which other one grows as it does
  owner?: Process; // of all processes together: whose it is
}

export interface Ranges {
  start_ns: number; run_parts: number; // where the trace begins to list events; windows meet where so many equal parts of the run do
  window_end_ns: number[]; peak_bytes: number[]; heap_bytes: number[]; peak_slack_bytes: number[]; end_slack_bytes: number[];
  small_copied_bytes: number[]; small_copies: number[];
  use: { node: number[]; thread: number[] };
  flow: { use: number[]; window: number[]; allocated_bytes: number[]; allocations: number[]; temporary_allocations: number[]; copied_bytes: number[]; copies: number[] };
  kept: { use: number[]; birth: number[]; death: number[]; bytes: number[]; count: number[] };
  peak: { use: number[]; window: number[]; bytes: number[]; count: number[] };
}

export interface Thread { thread_id: number; kernel_id: number; name: string | null }
export interface SourceFile { file: string; text?: string; absent?: string; newer?: boolean }

type Lines = {
  file: number[]; function: number[]; line: number[]; kind: number[]; origin: number[]; more: number;
  // of a comparison
  old_file?: number[]; old_line?: number[]; gone?: number[]; status?: number[]; noise?: number[]; old?: Figures;
} & Figures;

export interface Timeline { time_ns: number[]; heap_bytes: number[]; heap_peak_bytes: number[]; rss_bytes: number[] }
export interface Leaks { live_bytes: number; judged_ns: number; growing: number; window_end_ns: number[]; candidates: LeakCandidate[]; more: number }

/** What a comparison has of either trace. moment_ns: when; -1: all of the run is compared. */
export interface Run { summary: Summary; warnings: string[]; timeline: Timeline; leaks: Leaks; moment_ns?: number }

export interface Process extends Run {
  frames: { function: number[]; file: number[]; line: number[]; module: number[]; kind: number[]; origin: number[]; gone?: number[] };
  nodes: { parent: number[]; frame: number[]; line_frame: number[]; interpreter: number[]; folded: number[] } & Figures;
  folded: { stacks: number; stacks_in_all: number } & Record<Measure, number>;
  lines: Lines; lines_inclusive?: Lines;
  ranges?: Ranges | null; threads?: Thread[];
  sources: SourceFile[];
  strings: string[]; short: number[];
  // of a comparison: this is the new trace, and has the stacks of both
  baseline?: Run; old_nodes?: Figures; of?: string; edited_files?: number;
  // of all processes together (together.ts)
  members?: Process[]; owner?: Int32Array; node_base?: number[]; highest?: { bytes: number; time_ns: number };
}

export interface Document { schema: number; command: string; version: string; processes: Process[] }

export async function loadDocument(): Promise<Document> {
  const element = document.getElementById("data")!;
  const binary = atob(element.textContent!.trim());
  element.remove();
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text()) as Document;
}
