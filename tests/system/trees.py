# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What a job's spans have to look like, wherever they were received."""


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
        if span[2] in ("vmafx.input.open", "vmafx.scoring", "vmafx.frame.extraction"):
            assert span[1] in runs, f"{span[2]} is not a child of an attempt"
    if whole:
        names = {span[2] for span in spans}
        wanted = {"vmafx.job", "vmafx.job.submit", "vmafx.job.queue", "vmafx.task.run", "vmafx.input.open", "vmafx.scoring",
                  "vmafx.frame.extraction", "vmafx.result.store"}
        assert wanted <= names, f"missing: {wanted - names}"
