#include "engine/rehearsal.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/stage_options.h"

namespace onceflow::engine {

void StageRehearsal::note_kept(std::span<const KeptPosition> positions) {
  std::ranges::copy_if(positions, std::back_inserter(goes_on), [](const KeptPosition& position) {
    return position.next_offset != kNoOffset;
  });
}

namespace {

// Where a start-over has put it. Else the change itself says it.
void say_where_it_begins(DefinitionChange& change, const StageRehearsal& stage) {
  std::string places;
  for (const OpenedPosition& position : stage.begins) {
    const TopicPartition& source = position.before.source;
    if (position.beginning == protocol::Receipt::Beginning::kReset &&
        std::ranges::find(change.begins_in, source.topic) != change.begins_in.end()) {
      places += fmt::format("{}{}-{}@{}", places.empty() ? "" : ", ", source.topic,
                            source.partition.value, position.next_offset.value);
    }
  }
  if (!places.empty()) {
    change.effect = "its table is filled from where the newest start-over was to begin: " + places;
  }
}

}  // namespace

void say_what_is_kept(std::span<DefinitionChange> changes, std::span<const StageRehearsal> stages) {
  constexpr std::size_t kNamedMax = 8;
  for (DefinitionChange& change : changes) {
    const auto stage = std::ranges::find(stages, change.stage, &StageRehearsal::stage);
    if (stage == stages.end() || change.weight == DefinitionChange::Weight::kRefused) {
      continue;
    }
    if (stage->has_stopped && !change.begins_in.empty()) {
      change.effect = "where it begins is not decided, because run stops before that";
      continue;
    }
    std::vector<std::string> kept;
    for (const KeptPosition& position : stage->goes_on) {
      if (std::ranges::find(change.begins_in, position.source.topic) != change.begins_in.end()) {
        kept.push_back(fmt::format("{}-{}@{}", position.source.topic,
                                   position.source.partition.value, position.next_offset.value));
      }
    }
    if (kept.empty()) {
      say_where_it_begins(change, *stage);
      continue;
    }
    const std::size_t count = kept.size();
    kept.resize(std::min(count, kNamedMax));
    change.effect = fmt::format(
        "its position is kept, and it goes on there: {}{}", fmt::join(kept, ", "),
        count > kNamedMax ? fmt::format(" and {} more partitions", count - kNamedMax) : "");
  }
}

void Rehearsal::add(const Status& status, const std::string& stage) {
  if (status) {
    return;
  }
  std::string text =
      stage.empty() ? status.error().text : "stage '" + stage + "': " + status.error().text;
  (is_final(status.error()) ? refusals : unasked).push_back(std::move(text));
}

Task<Result<std::vector<KeptPosition>>> RehearsedPositions::read(
    std::vector<TopicPartition> partitions) {
  if (partitions.empty()) {
    co_return std::vector<KeptPosition>{};
  }
  co_return co_await read_(std::move(partitions));
}

Task<Result<std::vector<KeptPosition>>> RehearsedPositions::find_receipts(
    std::vector<KeptPosition> positions) {
  if (receipts_ == Receipts::kNone) {
    co_return positions;
  }
  co_return co_await kept_.find_receipts(std::move(positions));
}

Task<Result<std::vector<KeptPosition>>> RehearsedPositions::recall(
    std::vector<KeptPosition> positions) {
  co_return co_await kept_.recall(std::move(positions));
}

Task<Result<std::vector<KeptPosition>>> RehearsedPositions::find_inputs(
    std::vector<KeptPosition> positions) {
  if (receipts_ == Receipts::kNone) {
    co_return positions;
  }
  co_return co_await kept_.find_inputs(std::move(positions));
}

Task<Status> RehearsedPositions::open(std::vector<OpenedPosition> positions) {
  for (OpenedPosition& position : positions) {
    if (position.before.next_offset == kNoOffset) {
      found_.begins.push_back(std::move(position));
    }
  }
  co_return Status{};
}

void RehearsedPositions::note_lost(std::span<const protocol::Receipt::Input> inputs) {
  found_.has_lost_input = found_.has_lost_input || !inputs.empty();
}

}  // namespace onceflow::engine
