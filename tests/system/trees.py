# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What a job's spans have to look like, wherever they were received."""
from otlp import attributes, spans_of


def spans_by_trace(receiver):
    """trace id -> list of (span id, parent id, name, start, end, attributes)."""
    traces, seen = {}, set()
    for _, body in list(receiver.bodies.get("/v1/traces", [])):
        _, spans = spans_of(body)
        for span in spans:
            trace, span_id = span[1][0].hex(), span[2][0].hex()
            parent = span[4][0].hex() if span.get(4) and span[4][0] else ""
            assert (trace, span_id) not in seen, f"span {span_id} was exported twice"
            seen.add((trace, span_id))
            start, end = (int.from_bytes(span[n][0], "little") for n in (7, 8))
            traces.setdefault(trace, []).append((span_id, parent, span[5][0].decode(), start, end, attributes(span, 9)))
    return traces


def check_tree(spans, whole=True):
    """One connected tree. A span is (id, parent id, name, start, end, …), times in nanoseconds."""
    ids = {span[0] for span in spans}
    roots = [span for span in spans if span[1] not in ids]
    assert len(roots) == 1, f"{len(roots)} roots: {[(r[2], r[1]) for r in roots]} of {[s[2] for s in spans]}"
    jobs = [span for span in spans if span[2] == "vmafx.job"]
    assert len(jobs) == 1, [s[2] for s in spans]
    job = jobs[0]
    parts = sum(s[4] - s[3] for s in spans if s[2] in ("vmafx.job.queue", "vmafx.task.run"))
    assert abs(parts - (job[4] - job[3])) < 50e6, f"queue and attempts {parts / 1e6} ms, job {(job[4] - job[3]) / 1e6} ms"
    runs = {span[0] for span in spans if span[2] == "vmafx.task.run"}
    for span in spans:
        if span[2] in ("vmafx.job.queue", "vmafx.task.run", "vmafx.result.store"):
            assert span[1] == job[0], span
        if span[2] in ("vmafx.input.open", "vmafx.encoder.dispatch", "vmafx.scoring", "vmafx.frame.extraction"):
            assert span[1] in runs, f"{span[2]} is not a child of an attempt"
    opened = [span[1] for span in spans if span[2] == "vmafx.input.open"]
    assert all(opened.count(run) <= 2 for run in runs), "an input was opened more than once in one attempt"
    if whole:
        names = {span[2] for span in spans}
        wanted = {"vmafx.job", "vmafx.job.submit", "vmafx.job.queue", "vmafx.task.run", "vmafx.input.open", "vmafx.scoring",
                  "vmafx.frame.extraction", "vmafx.result.store"}
        assert wanted <= names, f"missing: {wanted - names}"
