#include "engine/stage_loop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

namespace onceflow::engine {
namespace {

constexpr Duration kBackoffMax = seconds(5);
constexpr Duration kWatchInterval = seconds(1);
/// What lasts less long is not worth a word.
constexpr Duration kTroubleAfter = seconds(2);
constexpr Duration kHeldAfter = seconds(3);
constexpr Duration kStandsAfter = seconds(30);

std::string describe(const std::vector<TopicPartition>& partitions) {
  constexpr std::size_t kNamedMax = 8;
  std::string text;
  for (std::size_t index = 0; index < std::min(partitions.size(), kNamedMax); ++index) {
    text += fmt::format("{}{}-{}", index == 0 ? "" : ", ", partitions[index].topic,
                        partitions[index].partition.value);
  }
  return partitions.size() > kNamedMax
             ? fmt::format("{} and {} more partitions", text, partitions.size() - kNamedMax)
             : text;
}

}  // namespace

Result<OperatorChain> OperatorChain::make(const Stage& stage) {
  OperatorChain chain;
  for (const Factory<Operator>& factory : stage.operators) {
    auto made = factory();
    RETURN_IF_ERROR(made);
    chain.operators_.push_back(std::move(*made));
  }
  return chain;
}

StageLoop::StageLoop(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
                     StageOptions options)
    : cluster_(std::move(cluster)),
      stage_(stage),
      options_(std::move(options)),
      status_(cluster_->scheduler().now()),
      news_(status_, cluster_->scheduler(), options_.tell),
      reader_(cluster_, stage_, options_, status_, news_),
      input_watch_(kHeldAfter + 2 * options_.commit_interval, kStandsAfter),
      inquiry_(cluster_) {
  status_.stage = stage.id;
  status_.worker = options_.worker;
}

StageLoop::~StageLoop() { cluster_->scheduler().cancel(watch_timer_); }

Task<Status> StageLoop::run() {
  if (Status prepared = prepare(); !prepared) {
    fail_for_good(prepared.error());
    co_return prepared;
  }
  reader_.start();
  arm_watch();
  const Status ended = co_await recover_and_work();
  if (!ended) {
    fail_for_good(ended.error());
  }
  cluster_->scheduler().cancel(std::exchange(watch_timer_, 0));
  co_await reader_.leave(farewell_deadline());
  news_.on(StageEvent::kEnded);
  co_return ended;
}

Task<Status> StageLoop::recover_and_work() {
  client::Backoff backoff(
      {.retry_backoff = options_.retry_backoff, .retry_backoff_max = kBackoffMax},
      cluster_->environment().random);
  bool was_tried_again = false;
  while (!reader_.is_stopping()) {
    const std::uint64_t commits_before = status_.commits;
    Status ended = co_await run_once();
    if (!ended) {
      ended.error().text = with_step_id(std::move(ended.error().text), options_.new_step_id);
    }
    is_working_ = false;
    if (ended) {
      backoff.reset();
      continue;
    }
    note(ended.error());
    co_await abandon();
    const bool made_progress = status_.commits != commits_before;
    was_tried_again = was_tried_again && !made_progress;
    const bool is_end = is_final(ended.error(), was_tried_again);
    if (is_end && reader_.refusals().learn()) {
      ++status_.recoveries;  // once more, to commit what lies before the record
      continue;
    }
    if (is_end) {
      co_return ended;
    }
    was_tried_again = was_tried_again || is_unclear(ended.error());
    ++status_.recoveries;
    if (made_progress) {
      backoff.reset();
    }
    if (!reader_.is_stopping()) {
      if (ended.error().code != ErrorCode::kNotFound || !tell_gone_topics()) {
        news_.on(StageEvent::kTrouble,
                 {ended.error().text,
                  fmt::format("it tries again by itself, {} apart at most", to_text(kBackoffMax))});
      }
      co_await reader_.pause(backoff.next());
    }
  }
  co_return Status{};
}

Task<Status> StageLoop::run_once() {
  auto partitions = co_await reader_.wait_for_assignment();
  CO_RETURN_IF_ERROR(partitions);
  if (reader_.is_stopping()) {
    co_return Status{};
  }
  news_.on(StageEvent::kRecoveryBegins, {describe(*partitions), {}});
  if (options_.on_assignment) {
    CO_RETURN_IF_ERROR(co_await options_.on_assignment());
  }
  CO_RETURN_IF_ERROR(co_await recover(std::move(*partitions)));
  if (reader_.must_leave()) {
    co_return Status{};
  }
  if (options_.on_claimed) {
    CO_RETURN_IF_ERROR(co_await options_.on_claimed());
  }
  is_working_ = true;
  news_.on(StageEvent::kRecovered);
  status_.last_error.clear();
  status_.last_error_at.reset();
  co_return co_await work();
}

Task<Result<StageLoop::Sources>> StageLoop::find_sources() {
  Sources sources;
  for (const std::string& source : stage_.source_topics) {
    const auto topic = co_await cluster_->existing_topic(source, call_deadline());
    if (!topic && topic.error().code == ErrorCode::kNotFound) {
      sources.gone.push_back(source);
      continue;
    }
    CO_RETURN_IF_ERROR(topic);
    for (std::int32_t index = 0; index < topic->partition_count(); ++index) {
      sources.partitions.push_back({source, PartitionIndex(index)});
    }
  }
  co_return sources;
}

// Anew: what is known of one that was deleted since would be gone by, in silence. One that is not
// there is waited for where it is opened.
Task<Status> StageLoop::look_up_outputs() {
  for (const std::string& output : written_topics()) {
    cluster_->forget_topic(output);
    const auto topic = co_await cluster_->existing_topic(output, call_deadline());
    if (!topic && topic.error().code != ErrorCode::kNotFound) {
      co_return std::unexpected(topic.error());
    }
  }
  knows_outputs_ = true;
  co_return Status{};
}

// Partition 0 is the one that a first start opens for all of them. A cluster may have deleted a
// group's position with the topic; the newest receipt tells of it still.
Task<Status> StageLoop::check_not_read(PositionKeeper& keeper,
                                       const std::vector<std::string>& gone) {
  for (const std::string& topic : gone) {
    auto kept = co_await keeper.read({{topic, PartitionIndex(0)}});
    CO_RETURN_IF_ERROR(kept);
    kept = co_await keeper.find_receipts(std::move(*kept));
    CO_RETURN_IF_ERROR(kept);
    if (kept->empty()) {
      continue;
    }
    const Offset reached = std::max(kept->front().next_offset, kept->front().receipt_offset);
    if (reached != kNoOffset) {
      co_return fail(ErrorCode::kRefused,
                     fmt::format("topic {0} is gone, and the stage has read it up to {0}-0@{1}: "
                                 "one that is made now is another topic of that name, whose "
                                 "offsets mean other records; restore the topic, or begin anew on "
                                 "purpose: onceflow reset {2} --to-earliest --execute",
                                 topic, reached.value, options_.file));
    }
  }
  co_return Status{};
}

Task<Result<std::vector<InputAccount::Position>>> StageLoop::settle(PositionKeeper& keeper,
                                                                    std::string place,
                                                                    std::vector<KeptPosition> kept,
                                                                    LogBounds bounds) {
  StageOptions options = options_;
  options.tell = [this](LogEvent event) {
    event.stage = status_.stage;
    options_.tell(std::move(event));
  };
  StartPositions start(cluster_, options, keeper, std::move(place),
                       [this] { return reader_.must_leave(); });
  auto positions = co_await start.settle(std::move(kept), bounds);
  if (positions && !start.remark().empty()) {
    news_.note(LogLevel::kInfo, "not compared", start.remark());
  }
  co_return positions;
}

void StageLoop::stop() {
  news_.on(StageEvent::kStopAsked);
  reader_.stop();
}

Task<void> StageLoop::leave_group(MonotonicTime deadline) { return reader_.leave(deadline); }

void StageLoop::note(const Error& error) {
  status_.last_error = error.text;
  status_.last_error_at = now();
  status_.transaction_open_since.reset();
  if (error.code == ErrorCode::kFenced) {
    ++status_.fenced;
  } else if (error.code == ErrorCode::kUnknownOutcome) {
    ++status_.in_doubt;
  }
  ++status_.aborts;
}

void StageLoop::fail_for_good(const Error& error) {
  if (status_.last_error != error.text) {
    note(error);
  }
  news_.on(StageEvent::kFailedForGood, {error.text, {}});
}

// ---- the look from outside

void StageLoop::arm_watch() {
  watch_timer_ = cluster_->scheduler().schedule_after(kWatchInterval, [this] {
    watch_timer_ = 0;
    look();
    arm_watch();
  });
}

void StageLoop::look() {
  reader_.refresh_ends();
  if (!reader_.is_stopping() && !look_for_trouble()) {
    look_at_input();
  }
  news_.tick();
}

// What the calls of the client meet with while they try again inside. True: it is in the way.
bool StageLoop::look_for_trouble() {
  const auto tell = [&](const Error& error, MonotonicTime since) {
    if (now() - since < kTroubleAfter) {
      return false;
    }
    status_.last_error = error.text;
    status_.last_error_at = now();
    news_.on(StageEvent::kTrouble, {error.text, "it tries again by itself"});
    return true;
  };
  const std::optional<Error> unreachable = cluster_->unreachable();
  if (!unreachable) {
    unreachable_since_.reset();
  } else if (!unreachable_since_) {
    unreachable_since_ = now();
  }
  if (unreachable) {
    return tell(*unreachable, *unreachable_since_);
  }
  // A group that others hold is waited for: the reader says so, with who they are.
  const auto* group = reader_.group().trouble();
  if (group != nullptr && !group->is_held_by_others) {
    return tell(group->error, group->since);
  }
  if (const auto& fetch = reader_.fetch_trouble(); fetch && is_working_) {
    if (fetch->error.code == ErrorCode::kNotFound && now() - fetch->since >= kTroubleAfter &&
        tell_gone_topics()) {
      return true;
    }
    return tell(fetch->error, fetch->since);
  }
  // A topic that is looked for anew, as its leader's disk refuses, is there.
  if (const auto restore = restore_trouble()) {
    return tell(restore->error, restore->since);
  }
  return look_for_outputs();
}

// The producer looks for a topic that was deleted until its transaction's time is over, and says
// nothing meanwhile; a leader that changes is found sooner.
bool StageLoop::look_for_outputs() {
  const bool writes = is_working_ || status_.state() == StageState::kRecovering ||
                      status_.state() == StageState::kWaitingForTopic;
  if (!knows_outputs_ || !writes || without_leader(written_topics()).empty()) {
    output_gone_since_.reset();
    return false;
  }
  if (!output_gone_since_) {
    output_gone_since_ = now();
  }
  return now() - *output_gone_since_ >= kTroubleAfter && tell_gone_topics();
}

std::vector<std::string> StageLoop::written_topics() const {
  const auto* outputs = std::get_if<std::vector<TopicOutput>>(&stage_.output);
  if (outputs == nullptr) {
    return {};
  }
  std::vector<std::string> topics = {options_.receipts_topic};
  std::ranges::transform(*outputs, std::back_inserter(topics), &TopicOutput::topic);
  if (stage_.aggregate) {
    topics.push_back(stage_.aggregate->changelog_topic);
  }
  return topics;
}

std::vector<std::string> StageLoop::without_leader(const std::vector<std::string>& topics) const {
  std::vector<std::string> found;
  std::ranges::copy_if(topics, std::back_inserter(found), [this](const std::string& topic) {
    return cluster_->known_leader({topic, PartitionIndex(0)}) == client::kNoNode &&
           cluster_->known_topic_id(topic).is_zero();
  });
  return found;
}

// What it reads or writes was deleted meanwhile. True: it was.
bool StageLoop::tell_gone_topics() {
  std::vector<std::string> gone = without_leader(stage_.source_topics);
  const bool is_source = !gone.empty();
  if (!is_source) {
    gone = without_leader(written_topics());
  }
  if (gone.empty()) {
    return false;
  }
  StageCause cause{
      fmt::format("{}, which do{} not exist", fmt::join(gone, ", "), gone.size() == 1 ? "es" : ""),
      is_source
          ? fmt::format("its positions stand, and another topic of that name is refused; "
                        "restore it, or begin anew on purpose: onceflow reset {} "
                        "--to-earliest --execute",
                        options_.file)
          : fmt::format("nothing is written meanwhile, and nothing read is lost; restore it; or, "
                        "where what was in it may be missing: one that the file names and no stage "
                        "of the pipeline reads is made anew by a start, onceflow run {0}; with any "
                        "other, begin anew: onceflow reset {0} --to-earliest --execute; onceflow "
                        "audit {0} says what is missing",
                        options_.file)};
  status_.last_error = "waiting for topic " + cause.what;
  status_.last_error_at = now();
  news_.on(StageEvent::kTopicMissing, std::move(cause));
  return true;
}

void StageLoop::look_at_input() {
  const std::uint64_t progress = status_.records_in + status_.commits + status_.restored_records;
  if (!is_working_) {
    // Recovery has no input to look at; what it does takes its time, and longer is worth a word.
    const bool is_recovering = status_.state() == StageState::kRecovering;
    if (is_recovering &&
        now() - std::max(status_.life.since(), status_.doing_since) >= kStandsAfter &&
        status_.restored_records == restored_when_seen_) {
      tell_standstill();
    }
    restored_when_seen_ = status_.restored_records;
    status_.holders.clear();
    return;
  }
  const InputWatch::Verdict verdict = input_watch_.look(reader_.input_view(), progress, now());
  if (!verdict.held.empty()) {
    inquiry_.ask(verdict.held);
    status_.holders = inquiry_.holders();
    tell_hold(verdict.held);
    return;
  }
  status_.holders.clear();
  inquiry_.forget();
  told_held_.clear();
  if (verdict.stands_since) {
    tell_standstill();
  } else {
    if (status_.state() == StageState::kRetrying) {
      status_.last_error.clear();
      status_.last_error_at.reset();
    }
    news_.on(StageEvent::kFlows);
  }
}

// Told when it is known who holds it, and again when other partitions are held; not for each
// record that is held as well.
void StageLoop::tell_hold(const std::vector<InputWatch::Held>& held) {
  const bool is_known = std::ranges::any_of(
      status_.holders, [&](const auto& holder) { return holder.partition == held.front().source; });
  const bool has_waited =
      now() - held.front().since >= 2 * kHeldAfter + 2 * options_.commit_interval;
  std::vector<TopicPartition> sources;
  sources.reserve(held.size());
  for (const InputWatch::Held& one : held) {
    sources.push_back(one.source);
  }
  const bool is_news = sources != told_held_ || status_.state() != StageState::kHeldBack;
  if ((is_known || has_waited) && is_news) {
    told_held_ = std::move(sources);
    news_.on(StageEvent::kInputHeld, describe_hold(cluster_->options(), held, status_.holders));
  }
}

void StageLoop::tell_standstill() {
  StageCause cause;
  const std::string age = to_text(kStandsAfter);
  if (status_.doing.empty()) {
    cause = {"no progress for " + age + " although there is input; why is not known",
             "if it lasts, restart the worker: nothing is lost; and report it with /status"};
  } else {
    cause = {"no progress for " + age + "; it is " + status_.doing,
             "it gives up by itself when the call's time is over, and tries again"};
  }
  news_.on(StageEvent::kNoProgress, std::move(cause));
}

protocol::Receipt StageLoop::begin_receipt() {
  protocol::Receipt receipt;
  receipt.pipeline = options_.pipeline;
  receipt.stage = stage_.id;
  receipt.worker = options_.worker;
  receipt.commit_number = ++commit_number_;
  receipt.committed_at_ms = cluster_->scheduler().wall_now().ms;
  receipt.definition = options_.definition;
  receipt.inputs = reader_.account().inputs();
  return receipt;
}

}  // namespace onceflow::engine
