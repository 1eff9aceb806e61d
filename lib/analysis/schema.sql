-- The report database: what the replay of one trace found, ready to query. Documented in docs/report_database.md.
-- Sizes are bytes, times nanoseconds since the trace's start; both are integers. One database a process (trace).
-- Tables are singular nouns; views (schema_views.sql) answer the usual questions, best first.
PRAGMA user_version = 8;
PRAGMA application_id = 1212498256; -- "HEAP": tells a report from any other SQLite file

-- One row: the process and its totals.
CREATE TABLE summary (
    pid INTEGER, parent_pid INTEGER, command TEXT, executable TEXT, python TEXT,
    start_realtime_ns INTEGER, duration_ns INTEGER,
    complete INTEGER,            -- 0: the process was killed, or the trace is cut or damaged
    exit_kind TEXT,              -- 'exit', 'signal', 'exec', 'stopped', 'snapshot' or 'unknown'
    exit_status INTEGER,
    damage TEXT,                 -- NULL, or why the trace could not be read to its end
    peak_bytes INTEGER, peak_time_ns INTEGER, peak_event INTEGER, peak_rss_bytes INTEGER,
    event_count INTEGER,
    allocated_bytes INTEGER, allocations INTEGER,
    live_bytes_at_end INTEGER, live_allocations_at_end INTEGER,
    temporary_allocations INTEGER,
    copied_bytes INTEGER, copies INTEGER,
    lost_events INTEGER, unknown_frees INTEGER,
    sampling_interval_bytes INTEGER, copy_threshold_bytes INTEGER,
    peak_allocations INTEGER,
    stream_end_ns INTEGER,       -- NULL, or where the trace's bound was reached: from there on it holds only sums, exact ones
    allocated_bytes_error INTEGER, peak_bytes_error INTEGER, -- standard errors where figures are estimates from a sample; 0: exact
    teardown_ns INTEGER,         -- NULL, or when the program began to free what it held, because it ended
    survivor_window_id INTEGER   -- NULL, or at the end of which window `survivor` was counted
);

-- Everything else the trace says of the process, and what the replay needs to know its own file again.
CREATE TABLE property (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Source files that were bundled with the trace: by their name in `frame`.
CREATE TABLE source (file TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID;

CREATE TABLE thread (thread_id INTEGER PRIMARY KEY, kernel_id INTEGER, name TEXT);

-- symbols: 'lines', 'functions' (no debug information found), 'absent' (no such file here), 'changed' (the file's build id is not the
-- recorded one: nothing is taken from it), or NULL (no stack goes through it)
CREATE TABLE module (module_id INTEGER PRIMARY KEY, path TEXT, build_id TEXT, load_bias INTEGER, symbols TEXT);

-- A place in a program. Two frames of the same place are the same row.
CREATE TABLE frame (
    frame_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,          -- 'python', 'native', 'cut' (frames from here outward are unknown), or 'tag' (function is its name)
    function TEXT,               -- qualified name; demangled
    file TEXT,                   -- as the program names it; NULL where there is no line
    line INTEGER,
    module TEXT,                 -- native: path of the executable or library
    origin TEXT NOT NULL         -- 'user', 'package' (site-packages, or installed elsewhere), 'stdlib', 'import' (importlib, runpy), 'native', 'system' (libraries of
                                 -- the system, the interpreter itself, and what has no place in any program)
);

-- A stack is its innermost frame and the stack of its caller. Row 0 is the empty stack. Ids are the trace's own; behind them
-- stand the callers by inlining: the id of a caller isn't always the lower one, its depth is.
-- Negative ids stand for what no stack owns: -1 arena slack, -2 copies below the threshold.
-- A stack whose innermost frame is the interpreter's own (not shown) repeats the row of its caller under its own id.
CREATE TABLE stack (
    stack_id INTEGER PRIMARY KEY,
    caller_id INTEGER,
    frame_id INTEGER,
    depth INTEGER,
    line_frame_id INTEGER        -- the frame that `line` credits: innermost Python frame, else the innermost native one that has a
                                 -- line (none of a system library), else of the program, else of a system library, else any
);

-- What each stack (itself, not its callees) allocated, held and copied. The sum of any column is the total in `summary`.
CREATE TABLE stack_use (
    stack_id INTEGER PRIMARY KEY,
    peak_bytes INTEGER, peak_allocations INTEGER,
    live_bytes INTEGER, live_allocations INTEGER,
    allocated_bytes INTEGER, allocations INTEGER,
    temporary_allocations INTEGER,
    copied_bytes INTEGER, copies INTEGER,
    oldest_live_ns INTEGER, newest_live_ns INTEGER  -- when the oldest and the newest of its live blocks were allocated; NULL: none live
);

-- Of a sample: how far the counts of stack_use may be from the truth. Variances of each, and the most that a single block, or a copy, added to one
-- (docs/architecture.md, "Sampling"). No row: the stack's counts are exact. Empty, and without the property count_errors, where nobody knows.
CREATE TABLE stack_error (
    stack_id INTEGER PRIMARY KEY,
    peak_variance REAL, live_variance REAL, allocations_variance REAL, copies_variance REAL, largest_block REAL, largest_copy REAL
);

-- The same by source line: every stack credited to its line frame; and inclusive: to every distinct line on it.
-- file: where there is no line (line is NULL), the path of the module, or NULL for what is not in any.
CREATE TABLE line_use (
    file TEXT, line INTEGER, function TEXT, kind TEXT, origin TEXT,
    peak_bytes INTEGER, peak_allocations INTEGER,
    live_bytes INTEGER, live_allocations INTEGER,
    allocated_bytes INTEGER, allocations INTEGER,
    temporary_allocations INTEGER,
    copied_bytes INTEGER, copies INTEGER
);
CREATE TABLE line_use_inclusive (
    file TEXT, line INTEGER, function TEXT, kind TEXT, origin TEXT,
    peak_bytes INTEGER, peak_allocations INTEGER,
    live_bytes INTEGER, live_allocations INTEGER,
    allocated_bytes INTEGER, allocations INTEGER,
    temporary_allocations INTEGER,
    copied_bytes INTEGER, copies INTEGER
);

-- For each row of line_use (line_id is its rowid): of the stacks credited to it, the one with the most of each figure; NULL: none has any.
CREATE TABLE line_stack (
    line_id INTEGER PRIMARY KEY,
    peak_bytes_stack_id INTEGER, peak_allocations_stack_id INTEGER,
    live_bytes_stack_id INTEGER, live_allocations_stack_id INTEGER,
    allocated_bytes_stack_id INTEGER, allocations_stack_id INTEGER,
    temporary_allocations_stack_id INTEGER,
    copied_bytes_stack_id INTEGER, copies_stack_id INTEGER
);

-- As stack_error, of the rows of line_use and of line_use_inclusive (line_id is their rowid).
CREATE TABLE line_error (
    line_id INTEGER PRIMARY KEY,
    peak_variance REAL, live_variance REAL, allocations_variance REAL, copies_variance REAL, largest_block REAL, largest_copy REAL
);
CREATE TABLE line_error_inclusive (
    line_id INTEGER PRIMARY KEY,
    peak_variance REAL, live_variance REAL, allocations_variance REAL, copies_variance REAL, largest_block REAL, largest_copy REAL
);

-- Live heap bytes and resident set over time; at most 2000 rows. heap_peak_bytes: the highest level since the row before.
CREATE TABLE timeline (time_ns INTEGER PRIMARY KEY, heap_bytes INTEGER, heap_peak_bytes INTEGER, rss_bytes INTEGER);

-- The run's duration in 32 equal windows of time, from 0. event_count: all events until then.
CREATE TABLE window (window_id INTEGER PRIMARY KEY, end_time_ns INTEGER, heap_bytes INTEGER, event_count INTEGER);

-- Live bytes by stack over the windows; only stacks that are live at the end or were before teardown, and only where something is live. One row covers all
-- windows, first to last, at whose ends the stack held the same. The view window_use has a row for each window.
CREATE TABLE live_span (
    stack_id INTEGER, first_window_id INTEGER, last_window_id INTEGER, live_bytes INTEGER, live_allocations INTEGER,
    PRIMARY KEY (stack_id, first_window_id)
) WITHOUT ROWID;

-- Of the blocks of each stack that were live at the end of window summary.survivor_window_id, the bytes that were allocated in each eighth of the run.
CREATE TABLE survivor (
    stack_id INTEGER PRIMARY KEY,
    born_0 INTEGER, born_1 INTEGER, born_2 INTEGER, born_3 INTEGER, born_4 INTEGER, born_5 INTEGER, born_6 INTEGER, born_7 INTEGER
);

-- A survey of the Python objects of the running process (heapline objects). Only objects whose allocation was recorded are in its rows.
CREATE TABLE object_survey (
    survey_id INTEGER PRIMARY KEY,
    time_ns INTEGER, pause_ns INTEGER, -- when, and how long the process stood still for it
    objects INTEGER,                   -- that the interpreter had; of them …
    unreached_objects INTEGER,         -- … those to which nothing leads from a module or a frame: C code holds them, or they wait for the collector of cycles
    recorded_objects INTEGER, recorded_bytes INTEGER, -- in object_type, with the blocks that are theirs
    outcome TEXT                       -- 'whole', or why it ends early: 'no memory', 'out of time', 'not taken'
);

-- By the stack that allocated them: objects of a type, and bytes in them and in blocks that are theirs (a list's items, a dictionary's table).
-- objects is 0 where only such blocks were allocated there.
CREATE TABLE object_type (survey_id INTEGER, stack_id INTEGER, objects INTEGER, bytes INTEGER, type TEXT);

-- What keeps some of them alive: step 0 is a module, a frame, or 'unreached'; the last one leads to the object, which stack_id allocated.
CREATE TABLE object_step (
    path_id INTEGER, step INTEGER, survey_id INTEGER, stack_id INTEGER,
    kind TEXT,                         -- of the first: 'module', 'frame', 'interpreter', 'unreached'; of others 'global', 'attribute', 'key', 'as key',
                                       -- 'index', 'element', 'local', 'closure', 'cell', 'stack', 'type', 'cut', 'in'
    name TEXT,                         -- under which the one before refers to it
    type TEXT,                         -- of what it leads to; of a frame: its file
    PRIMARY KEY (path_id, step)
) WITHOUT ROWID;
