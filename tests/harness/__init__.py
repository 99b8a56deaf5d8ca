"""What test scripts of this repository share: claims and their verdicts, our processes, the servers
beside them. A script in tests/SUITE/run puts `tests/` on its path and imports from here.

    from harness import Broker, Worker, audit, check, produce, wait_for
"""

from harness.claims import Skipped, check, check_plain, main_of_claims, run_claims, wait_for
from harness.kafka import shared_kafka
from harness.processes import (ONCEFLOW, ROOT, SMALL_SEGMENTS, Broker, Process, Worker, audit,
                               cluster, consume, free_port, kcat, log_of, onceflow, produce)
from harness.servers import Postgres, shared_postgres

__all__ = [
    "ONCEFLOW", "ROOT", "SMALL_SEGMENTS", "Broker", "Postgres", "Process", "Skipped", "Worker",
    "audit", "check", "check_plain", "cluster", "consume", "free_port", "kcat", "log_of",
    "main_of_claims", "onceflow", "produce", "run_claims", "shared_kafka", "shared_postgres",
    "wait_for",
]
