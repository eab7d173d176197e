"""Jobs one after the other, a line each; what is done is not done again."""

import shutil
import time
from collections.abc import Sequence

from speechbrain_e2v.report.formats import single_line
from speechbrain_e2v.report.jobs import Job
from speechbrain_e2v.report.rows import ResultRow, read_rows
from speechbrain_e2v.report.tables import Missing, main_metric


def run_jobs(jobs: Sequence[Job]) -> tuple[list[Job], list[Missing]]:
    """Run what is missing; the jobs that are done, and those that failed."""
    done, failed = [], []
    for number, job in enumerate(jobs, start=1):
        why = _run(job, f"[{number}/{len(jobs)}]")
        if why is None:
            done.append(job)
        else:
            failed.append(
                Missing(
                    job.corpus, job.protocol, job.features, f"failed: {why}"
                )
            )
    return done, failed


def row_of(job: Job) -> ResultRow:
    """The result of a job that is done."""
    (row,) = read_rows([job.output / "results.json"])
    return row


def _run(job: Job, counter: str) -> str | None:
    """Run a job unless it is done; why it failed, if it did."""
    title = f"{counter} {job.corpus}, {job.protocol}, {job.features}"
    title = single_line(title)
    if job.is_done():
        print(f"{title}: {_score(job)} (was done)", flush=True)
        return None
    print(f"{title} ...", end="", flush=True)
    started = time.monotonic()
    why = job.run()
    took = f"{time.monotonic() - started:.0f} s"
    if why is None:
        print(f" {_score(job)} ({took})", flush=True)
    else:
        width = shutil.get_terminal_size().columns
        print(
            f" failed ({took}): {single_line(why)[: max(40, width)]}",
            flush=True,
        )
        print(f"  {job.output / 'run.log'}", flush=True)
    return why


def _score(job: Job) -> str:
    row = row_of(job)
    metric = main_metric(row.corpus, job.protocol)
    return f"{metric.upper()} {row.headline[metric]:.2f}"
