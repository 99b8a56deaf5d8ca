"""What test scripts of this repository share: claims and their verdicts, our processes, the servers
beside them. A script in tests/SUITE/run puts `tests/` on its path and imports from here.

    from harness import Broker, Worker, audit, check, produce, wait_for
"""

from harness.claims import Skipped, check, check_plain, main_of_claims, run_claims, wait_for
from harness.processes import (ONCEFLOW, ROOT, Broker, Process, Worker, audit, consume, free_port,
                               kcat, onceflow, produce)
from harness.servers import Postgres, shared_postgres

__all__ = [
    "ONCEFLOW", "ROOT", "Broker", "Postgres", "Process", "Skipped", "Worker", "audit", "check",
    "check_plain", "consume", "free_port", "kcat", "main_of_claims", "onceflow", "produce",
    "run_claims", "shared_postgres", "wait_for",
]
