// Ending: what every ending of a run needs: a way to the log, records to feed, and the rule by
// which what has come of it is judged. The endings themselves are functions on it, a file for each
// kind of thing that they happen to (endings.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/cluster.h"
#include "sim/pipelines/endings.h"

namespace onceflow::sim {

class Ending {
 public:
  explicit Ending(EndScene of) : scene(of), before(of.input) {}

  using Visit = std::function<Task<void>(SimProcess&, std::shared_ptr<client::Cluster>)>;
  void visit(const Visit& visit);
  void feed(std::vector<Document> documents);
  static constexpr std::uint64_t kLateRecordsMax = 20;
  std::vector<Document> draw_documents(std::uint64_t count_max = kLateRecordsMax);
  DrawnPipeline& draw_pipeline() {
    return scene.pipelines[scene.random.below(scene.pipelines.size())];
  }
  /// No worker runs, and what the last ones sent to the database has arrived.
  void take_down();

  /// Where the first stage of the pipeline goes on, by partition.
  std::vector<std::size_t> positions_of(const DrawnPipeline& pipeline,
                                        const pipeline::PlannedPipeline& planned);
  /// Where its state is of the file before, a reset says that it is kept.
  void go_on_with_next_file(DrawnPipeline& pipeline);

  /// Waits until each pipeline has the right rows for all of the input; none may refuse.
  void expect_right(const std::string& what);
  /// What a pipeline that has stopped must have left.
  enum class Refused : std::uint8_t {
    kBefore,   ///< all as it was before: a record was refused
    kMidway,   ///< what came before the record that was refused is there, and is not judged
    kStopped,  ///< others may have gone on, as far as they came; the audit must name it too
    kAnew,     ///< as kStopped, but nothing is left that could be named: no word of "clean" then;
               ///< nor is there anything where no record was fed before (kStopped becomes this)
  };
  /// Waits until each pipeline has either the right rows for all of the input, or has stopped and
  /// said something that holds one of `named`. Then model and audit judge what can be judged.
  void expect_right_or_refused(const std::string& what, const std::vector<std::string>& named,
                               Refused refused);
  bool is_right(const DrawnPipeline& pipeline) const {
    return pipeline.judge(scene.database.image(), scene.input).empty();
  }

  static constexpr Duration kPatience = seconds(120);
  static constexpr Duration kVisitMax = seconds(100);

  EndScene scene;
  /// The input as it was when all was still right.
  InputTopic before;
};

/// One that is drawn, with its name for the log.
struct EndingKind {
  std::string_view name;
  void (*play)(Ending& ending);
};
/// What happens to records, files and the log.
std::span<const EndingKind> input_endings();
/// What happens to tables and databases.
std::span<const EndingKind> table_endings();
/// What happens to the topics that the pipeline keeps for itself.
std::span<const EndingKind> topic_endings();
/// What happens while a worker sleeps.
std::span<const EndingKind> sleeper_endings();

}  // namespace onceflow::sim
