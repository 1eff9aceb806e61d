-- The index of a report database, and the views that answer the usual questions, best first.
-- Documented, with examples, in docs/report_database.md.

-- No more indexes than the reports need: each costs as much as its table when the first report is made.
CREATE INDEX stack_use_live ON stack_use (stack_id) WHERE live_bytes > 0 OR live_allocations > 0;

-- Live bytes of each stack at the end of each window; only stacks that are live at the end, and only where something is live.
CREATE VIEW window_use (stack_id, window_id, live_bytes, live_allocations) AS
SELECT span.stack_id, window.window_id, span.live_bytes, span.live_allocations
FROM live_span AS span JOIN window ON window.window_id BETWEEN span.first_window_id AND span.last_window_id;

-- Source lines by the bytes they ever allocated.
CREATE VIEW lines AS SELECT * FROM line_use ORDER BY allocated_bytes DESC, file, line;

-- Source lines by what they held at the high-water mark.
CREATE VIEW peak_lines AS
SELECT file, line, function, kind, origin, peak_bytes, peak_allocations,
       round(100.0 * peak_bytes / (SELECT max(peak_bytes, 1) FROM summary), 2) AS peak_percent
FROM line_use WHERE peak_bytes > 0 OR peak_allocations > 0 ORDER BY peak_bytes DESC, file, line;

-- Source lines by the bytes they copied.
CREATE VIEW copy_lines AS
SELECT file, line, function, kind, origin, copied_bytes, copies,
       round(100.0 * copied_bytes / (SELECT max(copied_bytes, 1) FROM summary), 2) AS copied_percent
FROM line_use WHERE copies > 0 ORDER BY copied_bytes DESC, file, line;

-- Source lines by allocations that were freed before the same thread's next one.
CREATE VIEW temporary_lines AS
SELECT file, line, function, kind, origin, temporary_allocations, allocations,
       round(100.0 * temporary_allocations / allocations, 2) AS temporary_percent
FROM line_use WHERE temporary_allocations > 0 ORDER BY temporary_allocations DESC, file, line;

-- What was allocated and held under each tag (docs/tags.md), by what it held at the high-water mark: tags inside it included.
CREATE VIEW tags AS
SELECT function AS tag, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, allocations, temporary_allocations,
       copied_bytes, copies
FROM line_use_inclusive WHERE kind = 'tag' ORDER BY peak_bytes DESC, allocated_bytes DESC, function;

-- The innermost tag of each stack; NULL: none. Put together when it is read, like stack_text.
CREATE VIEW stack_tag (stack_id, tag) AS
SELECT s.stack_id, (
    WITH RECURSIVE up (caller_id, frame_id) AS (
        SELECT s.caller_id, s.frame_id
        UNION ALL
        SELECT c.caller_id, c.frame_id FROM up JOIN stack AS c ON c.stack_id = up.caller_id WHERE up.caller_id > 0)
    SELECT f.function FROM up JOIN frame AS f ON f.frame_id = up.frame_id WHERE f.kind = 'tag' LIMIT 1) AS tag
FROM stack AS s;

-- Functions: the sum of their lines.
CREATE VIEW functions AS
SELECT function, file, kind, origin,
       sum(peak_bytes) AS peak_bytes, sum(peak_allocations) AS peak_allocations,
       sum(live_bytes) AS live_bytes, sum(live_allocations) AS live_allocations,
       sum(allocated_bytes) AS allocated_bytes, sum(allocations) AS allocations,
       sum(temporary_allocations) AS temporary_allocations,
       sum(copied_bytes) AS copied_bytes, sum(copies) AS copies
FROM line_use GROUP BY kind, file, function ORDER BY allocated_bytes DESC;

-- Source files, or modules where no line is known: the sum of their lines.
CREATE VIEW files AS
SELECT file, kind, origin,
       sum(peak_bytes) AS peak_bytes, sum(peak_allocations) AS peak_allocations,
       sum(live_bytes) AS live_bytes, sum(live_allocations) AS live_allocations,
       sum(allocated_bytes) AS allocated_bytes, sum(allocations) AS allocations,
       sum(temporary_allocations) AS temporary_allocations,
       sum(copied_bytes) AS copied_bytes, sum(copies) AS copies
FROM line_use GROUP BY kind, file ORDER BY allocated_bytes DESC;

-- Executables and libraries by what was allocated from them: the innermost native frame decides. With Python stacks and without
-- native ones that is only what no Python line asked for.
CREATE VIEW modules AS
SELECT frame.module AS module, frame.origin AS origin,
       sum(stack_use.peak_bytes) AS peak_bytes, sum(stack_use.live_bytes) AS live_bytes,
       sum(stack_use.allocated_bytes) AS allocated_bytes, sum(stack_use.allocations) AS allocations,
       sum(stack_use.copied_bytes) AS copied_bytes
FROM stack_use JOIN stack USING (stack_id) JOIN frame USING (frame_id)
WHERE frame.module IS NOT NULL GROUP BY frame.module ORDER BY allocated_bytes DESC;

-- Each stack as text, innermost frame first. Ask for some stacks (WHERE stack_id = …): each is put together when it is read.
CREATE VIEW stack_text (stack_id, depth, text) AS
SELECT s.stack_id, s.depth, coalesce((
    WITH RECURSIVE up (stack_id, caller_id, frame_id) AS (
        SELECT s.stack_id, s.caller_id, s.frame_id
        UNION ALL
        SELECT c.stack_id, c.caller_id, c.frame_id FROM up JOIN stack AS c ON c.stack_id = up.caller_id WHERE up.caller_id > 0)
    SELECT group_concat(CASE WHEN f.file IS NOT NULL THEN f.function || ' (' || f.file || ':' || coalesce(f.line, '?') || ')'
                             WHEN f.module IS NOT NULL THEN f.function || ' (' || f.module || ')'
                             ELSE f.function END, ' ← ')
    FROM up JOIN frame AS f ON f.frame_id = up.frame_id), 'unknown') AS text
FROM stack AS s;

-- Stacks that still hold memory at the end: how much, since when, and how it grew over the run's windows.
-- growth_bytes_per_second: from the end of the first quarter to the end, so that what a program loads at its start doesn't count.
CREATE VIEW leak_stacks AS
SELECT u.stack_id, f.file, f.line, f.function, f.kind, f.origin, u.live_bytes, u.live_allocations, u.oldest_live_ns, u.newest_live_ns,
       u.live_bytes - coalesce(q.live_bytes, 0) AS growth_bytes,
       CASE WHEN s.duration_ns > 0 THEN round((u.live_bytes - coalesce(q.live_bytes, 0)) / (s.duration_ns * 0.75e-9), 1) ELSE 0.0 END
           AS growth_bytes_per_second,
       (SELECT count(*) FROM live_span WHERE live_span.stack_id = u.stack_id) AS changes
FROM stack_use AS u JOIN stack USING (stack_id) JOIN frame AS f ON f.frame_id = stack.line_frame_id CROSS JOIN summary AS s
LEFT JOIN live_span AS q ON q.stack_id = u.stack_id AND (SELECT max(window_id) FROM window) / 4 BETWEEN q.first_window_id AND q.last_window_id
WHERE u.live_bytes > 0 AND u.stack_id >= 0 ORDER BY u.live_bytes DESC;

-- Types of the surviving objects by source line, in the last survey.
CREATE VIEW object_lines AS
SELECT frame.file AS file, frame.line AS line, frame.function AS function, object_type.type AS type,
       sum(object_type.objects) AS objects, sum(object_type.bytes) AS bytes
FROM object_type JOIN stack USING (stack_id) JOIN frame ON frame.frame_id = stack.line_frame_id
WHERE survey_id = (SELECT max(survey_id) FROM object_survey)
GROUP BY stack.line_frame_id, object_type.type ORDER BY bytes DESC, file, line, type;
