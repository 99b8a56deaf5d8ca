// OtherWorkers: the workers that live beside this one, and the definition that each says it goes
// by. Two that go by different files would judge each record as its partition has it, so a newcomer
// is refused while others live with another definition, and whoever finds at an assignment that it
// has been overtaken ends. A change that is rolled out worker by worker is said to be one
// (--rolling-change): then both go on, and both say so.
//
// A group has the workers of one pipeline: its partitions are divided among all members, and what
// others get is not processed. Another pipeline in it is refused, on both sides; members that are
// no workers at all are told of.
//
// A relative path leads each process to where it was started: workers of one pipeline whose
// database is a file say which one it is, and a newcomer with another one is refused, as half of
// the rows would be in each.
//
// What a member says stands in its note in the group (docs/formats/definition.md). Members of
// programs that say nothing go by what the definitions topic says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "engine/stage_state.h"
#include "engine/worker_place.h"
#include "protocol/definition.h"

namespace onceflow::engine {

/// Whether a worker goes on beside others that have another definition.
enum class Rolling : std::uint8_t { kNo, kYes };

/// What a worker's note says of its definition.
struct DefinitionNote {
  std::string pipeline;               ///< empty: the program does not say
  std::optional<std::uint64_t> hash;  ///< none: the program, or the group, does not say
  Rolling rolling = Rolling::kNo;
};
/// The note with that behind it.
std::string with_definition(std::string note, const protocol::PipelineDefinition& definition,
                            Rolling rolling);
DefinitionNote parse_definition_note(std::string_view note);

/// The file of a sink's database, as this process comes to it.
struct DatabaseFile {
  std::string sink;
  std::uint64_t place = 0;  ///< the same only where it is the same file in the same directory
  std::string path;         ///< for people
  friend bool operator==(const DatabaseFile&, const DatabaseFile&) = default;
};
/// The note with the files behind it; before with_definition().
std::string with_databases(std::string note, std::span<const DatabaseFile> files);
std::vector<DatabaseFile> parse_databases(std::string_view note);

/// A live member of the pipeline's groups that goes by another definition, writes to another
/// database, or is none of its workers.
struct OtherWorker {
  enum class Kind : std::uint8_t {
    kWorker,
    kOfAnotherPipeline,
    kNoWorker,
    kWithAnotherDatabase,  ///< whatever its definition
  };
  Kind kind = Kind::kWorker;
  std::string pipeline;  ///< of kOfAnotherPipeline
  std::string worker;    ///< of kNoWorker: its client.id
  std::string group_id;
  std::string where;  ///< its process and address, for people
  MemberLife life = MemberLife::kUnknown;
  Rolling rolling = Rolling::kNo;
  bool is_told = false;    ///< its note says its definition
  std::string database{};  ///< of kWithAnotherDatabase: which, there and here
  friend bool operator==(const OtherWorker&, const OtherWorker&) = default;
};
/// Of members that are no workers: what comes of them, and what to do.
inline constexpr std::string_view kStrangersCause =
    "the partitions that they hold are not processed, and what they commit moves the pipeline's "
    "positions";
inline constexpr std::string_view kStrangersRemedy = "end them, or give them another group.id";

/// "worker '2': process 123 on h, address 10.0.0.3 (group 'g')", and the next.
std::string describe(const std::vector<OtherWorker>& others);

/// Whether this worker, or every other one, was started to go beside another definition.
bool is_rolling_change(Rolling own, std::span<const OtherWorker> others);

/// kRefused if a worker of another pipeline is among them.
Status check_one_pipeline(const std::vector<OtherWorker>& others, std::string_view pipeline);

/// kRefused if one of them has another file under the name of this worker's database.
Status check_one_database(const std::vector<OtherWorker>& others, std::string_view pipeline);

struct OthersQuestion {
  std::vector<std::string> group_ids;
  std::string pipeline;
  std::string group_instance_id;  ///< this worker's own
  std::uint64_t definition = 0;   ///< hash of this worker's
  /// It is what the definitions topic says, so members that say nothing have it too.
  bool is_known = false;
  std::vector<DatabaseFile> databases{};  ///< this worker's own
};

/// Members that are not known to be dead. What cannot be asked is left out.
Task<std::vector<OtherWorker>> find_others(std::shared_ptr<client::Cluster> cluster,
                                           const PlaceOptions& options, OthersQuestion question);

/// kRefused, with the ways on, if one of them goes by another definition. `difference`: what the
/// file changes, a line each; may be empty.
Status check_one_definition(const std::vector<OtherWorker>& others, const OthersQuestion& question,
                            const std::string& difference, const std::string& file);

/// Before anything is written: kRefused while others live with another definition (Rolling::kYes:
/// it goes beside them) or another database; those that cannot be seen are waited for as
/// take_place() does.
Task<Status> wait_for_others(std::shared_ptr<client::Cluster> cluster, PlaceOptions options,
                             OthersQuestion question, Rolling rolling, std::string difference,
                             std::string file, Duration session_timeout,
                             std::function<bool()> must_stop,
                             std::function<void(StageCause)> waits);

}  // namespace onceflow::engine
