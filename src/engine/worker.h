// Worker: runs the stages of a plan in one thread: makes the topics that are missing, then one
// StageTask a stage. Any number of workers, in any number of processes, share the work as consumer
// groups.
//
// Owned by the program (or the simulator), runs on its environment's scheduler.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/admin.h"
#include "client/cluster.h"
#include "engine/definition_change.h"
#include "engine/definition_fence.h"
#include "engine/other_workers.h"
#include "engine/rehearsal.h"
#include "engine/stage.h"
#include "engine/topology.h"
#include "engine/worker_place.h"
#include "io/environment.h"
#include "protocol/definition.h"

namespace onceflow::engine {

class DefinitionLog;

struct WorkerOptions {
  client::ClientOptions client;
  /// Everything but what the plan says (pipeline, receipts_topic, guarantee, commit_interval).
  StageOptions stage;
  PlaceOptions place;
  /// --rolling-change: it goes on beside workers that have another definition.
  Rolling rolling = Rolling::kNo;
  /// What the plan was made of. It is compared with what the pipeline was so far before anything is
  /// written; without it nothing is compared.
  std::optional<protocol::PipelineDefinition> definition;
  /// The definition with what means the same as in the pipeline's own spelled as it is there.
  /// Unset: another spelling is another definition.
  std::function<protocol::PipelineDefinition(protocol::PipelineDefinition, const KnownDefinition&)>
      spelled_as;
  /// The databases of its sinks that are files, as this process comes to them.
  std::vector<DatabaseFile> databases;
  /// The pipeline file, as the user would name it to a command; for messages.
  std::string file;
  /// Told what has changed in the pipeline file since the last start, where that is no reason to
  /// stop: a line for each.
  std::function<void(const std::string&)> on_notice;
};

class Worker {
 public:
  /// The plan must outlive the worker.
  Worker(io::Environment environment, const Plan& plan, WorkerOptions options);
  ~Worker();

  /// Runs until stop(), or until a stage has failed for good: then the others are stopped too,
  /// those after it once they have passed on what it committed, and the first error is returned. A
  /// cluster that is away is waited for, and so is a source topic that does not exist; both are
  /// said.
  Task<Status> run();
  /// Instead of run(): what it would come to now, and why it would not begin. Nothing is written;
  /// what run() would say on the way is told.
  Task<Rehearsal> rehearse();
  /// Every stage finishes its open commit and leaves its group; run() returns soon. Whatever does
  /// not end within kStopPatience is left as it is, as by a crash: run() returns, and
  /// has_left_work() says so. Nothing is lost by that; the next start decides it.
  void stop();
  static constexpr Duration kStopPatience = milliseconds(2500);
  bool has_left_work() const { return !running_.empty(); }

  /// As they are known; to look costs nothing and changes nothing.
  std::vector<const StageStatus*> statuses() const;
  /// Brings what they say of the ends of the input up to now; of what no fetch tells the cluster is
  /// asked, and the answer is in a later look.
  void refresh_statuses() const;
  /// Workers that go by another definition, as of the last assignment.
  const std::vector<OtherWorker>& others() const { return others_; }
  /// Members of its groups that are no workers, as of the last assignment.
  const std::vector<OtherWorker>& strangers() const { return strangers_; }

 private:
  /// All that carries the definition: notes, receipts, states.
  void begin_with_definition();
  std::vector<std::unique_ptr<StageTask>> make_stages(StageOptions options) const;
  /// Before anything is compared with it.
  void spell_as(const KnownDefinition& known);
  /// All that is checked comes before the first thing that is written.
  Task<Status> prepare();
  Task<Status> prepare_topics();
  /// What the file says of topics that are there already, where they are not so.
  Task<void> tell_of_topic_settings();
  Task<Status> take_place();
  /// What a worker leaves before its stages begin is there, if it has ever run: the receipts topic,
  /// and the definitions that receipts name.
  Task<Status> check_own_topics(const DefinitionLog& definitions, const KnownDefinition& known);
  Task<Status> check_forgotten_definitions();
  /// The topic does not hold its first records any more: whether they may have told of a
  /// start-over.
  Task<Status> check_forgotten_start_over(const KnownDefinition& known);
  Task<Result<protocol::ReceiptsByStage>> all_receipts();
  /// If receipts tell of one.
  void remember_start_over(const protocol::ReceiptsByStage& receipts);
  /// As it is known, or as it was forgotten.
  std::optional<StartOver> start_over_of(const KnownDefinition& known) const;
  SourceWriters writers_before(const Stage& stage, const KnownDefinition& known) const;
  void tell_of_strange_records(const std::vector<std::string>& strangers) const;
  Task<Result<bool>> has_all_topics(MonotonicTime deadline);
  Task<Status> check_names(const KnownDefinition& known);
  /// Before a topic is made or another definition is recorded: what the stages would refuse.
  /// `changes` then say what the stages have found.
  Task<Status> rehearse_stages(const KnownDefinition& known,
                               std::vector<DefinitionChange>& changes);
  Task<Status> rehearse_stages_once(const KnownDefinition& known,
                                    std::vector<StageRehearsal>& found);
  Task<Status> rehearse_stage(StageTask& stage, const KnownDefinition& known,
                              StageRehearsal& found) const;
  Task<Status> rehearse_before_stages(Rehearsal& found);
  Task<Status> rehearse_others(const KnownDefinition& known, std::string difference);
  Task<Status> look_at_others(const KnownDefinition& known, std::string difference);
  /// At an assignment: who are there beside this one, and check_definition().
  Task<Status> check_others();
  /// That the definition in force is still the one that the stages began with (DefinitionFence).
  Task<Status> check_definition();
  OthersQuestion others_question(const KnownDefinition* known) const;
  void tell_of_strangers(std::vector<OtherWorker> strangers);
  /// Of two that have begun at once with two databases, one ends: who began later than the other is
  /// refused before.
  Status check_database(const std::vector<OtherWorker>& others) const;
  void tell_of_others(LogLevel level, std::string text) const;
  struct Sources {
    std::int32_t partition_count = 0;  ///< the most of any
    std::size_t record_bytes_max = 0;  ///< max.message.bytes, likewise
  };
  Task<Result<Sources>> look_at_sources(client::Admin& admin, MonotonicTime deadline);
  void report(StageEvent event, const StageCause& cause);
  Task<void> give_up();
  Task<void> run_stage(StageTask& stage);
  Task<void> drain_after(const StageTask& failed);

  io::Environment environment_;
  const Plan& plan_;
  WorkerOptions options_;
  std::set<std::string> told_;
  const TellEvent tell_once_;   ///< prepare() is tried again, and says all again
  StageOptions stage_options_;  ///< what all stages have of them
  std::shared_ptr<client::Cluster> cluster_;
  std::vector<std::unique_ptr<StageTask>> stages_;
  DefinitionFence fence_;
  std::vector<OtherWorker> others_;
  std::vector<OtherWorker> strangers_;
  io::Event changed_;
  std::set<const StageTask*> running_;
  bool is_waiting_for_source_ = false;  ///< which has been told
  bool stopping_ = false;
  bool has_given_up_ = false;
  bool has_forgotten_start_over_ = false;  ///< found while it prepares
  io::TimerId patience_ = 0;
  Status ended_;
};

}  // namespace onceflow::engine
