"""D16: a journal that has lost its end, or a file, is refused by name; no offset is given twice."""

import shutil

from harness import Broker, check, check_plain, consume, kcat, onceflow
from harness.damage import NOTE, journals, live_journal, zero_from

RECORDS = [f"record-{number}" for number in range(200)]


def killed_with_records_in_the_journal_alone(at, *arguments):
    with Broker(at, *arguments) as broker:
        kcat(broker.address, "-P", "-t", "t", given="\n".join(RECORDS) + "\n")
        check(consume(broker.address, "t") == RECORDS, "not there")
        broker.kill()
    check(not (at / "data" / "topics" / "t-0").exists(), "it is not in the journal alone")
    return at / "data"


def is_refused(at, words, *arguments):
    with Broker(at, *arguments) as broker:
        check(broker.wait() == 1, "it starts")
        said = broker.said()
    check_plain(said)
    for word in [*words, "onceflow salvage"]:
        check(word in said, f"no {word}: {said}")
    walked = onceflow("audit", "--data-dir", "data", at=at, code=1)
    check("log: sound" not in walked, walked)


def refused_after(at, damage, *words, arguments=()):
    data = killed_with_records_in_the_journal_alone(at, *arguments)
    copy = at / "copy"
    shutil.copytree(data, copy)
    damage(data)
    is_refused(at, words, *arguments)
    # The advice: put back what was there.
    shutil.rmtree(data)
    shutil.copytree(copy, data)
    with Broker(at, *arguments) as broker:
        check(consume(broker.address, "t") == RECORDS, "not there again")
        broker.stop()


def a_deleted_journal_file_is_refused(at):
    refused_after(at, lambda data: live_journal(data)[0].unlink(), "journal ends before")


def a_journal_without_any_file_is_refused(at):
    def damage(data):
        for path in journals(data):
            path.unlink()
    refused_after(at, damage, "journal")


def a_journal_folder_that_is_gone_is_refused(at):
    refused_after(at, lambda data: shutil.rmtree(data / "journal"), "journal")


def a_cut_journal_file_is_refused(at):
    def damage(data):
        path, place = live_journal(data)
        path.write_bytes(path.read_bytes()[:place])
    refused_after(at, damage, "journal")


def an_emptied_journal_file_is_refused(at):
    refused_after(at, lambda data: live_journal(data)[0].write_bytes(b""), "journal")


def a_journal_file_zeroed_at_its_end_is_refused(at):
    refused_after(at, lambda data: zero_from(*live_journal(data)), "journal ends before")


def a_journal_file_zeroed_whole_is_refused(at):
    refused_after(at, lambda data: zero_from(live_journal(data)[0], 0), "journal")


def a_journal_of_another_directory_is_refused(at):
    def damage(data):
        with Broker(at, name="other") as broker:
            kcat(broker.address, "-P", "-t", "t", given="x\n")
            broker.kill()
        for path in journals(at / "other"):
            shutil.copy(path, data / "journal" / path.name)
    refused_after(at, damage, "journal")


def an_older_copy_of_the_journal_is_refused(at):
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        shutil.copytree(at / "data" / "journal", at / "older")
        kcat(broker.address, "-P", "-t", "t", given="b\n")
        broker.kill()
    shutil.rmtree(at / "data" / "journal")
    shutil.copytree(at / "older", at / "data" / "journal")
    is_refused(at, ["journal ends before"])


def a_lost_note_is_refused(at):
    refused_after(at, lambda data: (data / NOTE).unlink(), NOTE)


def in_log_flush_os_too(at):
    refused_after(at, lambda data: zero_from(*live_journal(data)), "journal ends before",
                  arguments=("--override", "log.flush=os"))


def a_missing_file_of_a_log_that_was_closed_is_refused(at):
    with Broker(at) as broker:
        kcat(broker.address, "-P", "-t", "t", given="a\n")
        check(broker.stop() == 0, broker.said())
    for path in journals(at / "data"):
        content = path.read_bytes()
        path.unlink()
        is_refused(at, [path.name, "missing"])
        path.write_bytes(content[:-4096])
        is_refused(at, [path.name, "too short"])
        path.write_bytes(content)
