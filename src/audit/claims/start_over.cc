#include "audit/claims/start_over.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/topic_id_text.h"

namespace onceflow::audit {
namespace {

std::string name_of(const StoredPosition& position) {
  return fmt::format("{}-{}@{}", position.source.topic, position.source.partition.value,
                     position.next_offset.value);
}

}  // namespace

void check_start_over(const StageSubject& stage, const std::vector<StoredPosition>& positions,
                      const std::string& receipts_topic,
                      const std::optional<TopicDescription>& topic, std::string_view ending,
                      Findings& findings) {
  const StoredPosition* first = nullptr;
  std::int64_t count = 0;
  for (const StoredPosition& position : positions) {
    const auto kept = parse_topic_id(position.receipts_id);
    const bool is_of_another = kept && (!topic || (!topic->id.is_zero() && *kept != topic->id));
    const bool is_read =
        std::ranges::find(stage.source_topics, position.source.topic) != stage.source_topics.end();
    if (is_of_another && is_read && position.next_offset != kNoOffset) {
      first = first == nullptr ? &position : first;
      ++count;
    }
  }
  if (first == nullptr) {
    return;
  }
  const std::string which =
      fmt::format("table {}: {} of stage {} {}", stage.table->table,
                  count == 1 ? "the position " + name_of(*first)
                             : fmt::format("{} positions, {} the first,", count, name_of(*first)),
                  stage.id, count == 1 ? "is" : "are");
  if (!topic) {
    findings.not_covered(fmt::format(
        "{} of the time of topic {} with id {}, and that topic is not there: whether the pipeline "
        "was started over since, nothing says",
        which, receipts_topic, first->receipts_id));
    return;
  }
  const std::string what = fmt::format(
      "{} not of the pipeline's newest start-over: topic {} was made anew (its id was {}, and is "
      "{}), as onceflow reset does",
      which, receipts_topic, first->receipts_id, to_text(topic->id));
  findings.add(
      FindingKind::kAltered, stage.id, 0,
      ending.empty()
          ? what +
                "; the database was restored from before that, or the file did not name this sink "
                "then, or the log was restored from before it: results that were made again are "
                "not in the table, or beside the old ones; the fix: restore database and log of "
                "one time; or go on from now, with the rows as they are: onceflow reset FILE "
                "--to-current --execute; or start over once more, with this sink: onceflow reset "
                "FILE --to-earliest (--delete-rows | --keep-rows) --execute"
          : what + ", and a reset has not ended, which may reach this table yet; the fix: " +
                std::string(ending));
}

}  // namespace onceflow::audit
