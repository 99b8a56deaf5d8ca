#include "engine/rehearsal.h"

#include <utility>

#include "engine/stage_options.h"

namespace onceflow::engine {

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

}  // namespace onceflow::engine
