// The grammar and the model: every file is a pipeline, and a row that is not right is named.
#include "sim/pipelines/drawn_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kSeeds = 300;

TEST(DrawnPipeline, every_file_is_a_pipeline_and_a_changed_one_is_another) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SimRandom random(seed);
    DrawnPipeline::plan(DrawnPipeline::rows(random).file());
    const DrawnPipeline totals = DrawnPipeline::totals(random);
    DrawnPipeline::plan(totals.file());
    DrawnPipeline::plan(totals.changed_file());
    EXPECT_NE(totals.file(), totals.changed_file());
  }
}

class Model : public testing::Test {
 protected:
  Model() {
    input_.partitions.resize(1);
    DocumentSource documents(random_);
    for (std::int64_t number = 0; number < 20; ++number) {
      input_.partitions[0].documents.push_back(documents.draw(number));
    }
  }

  std::vector<std::string> judge() {
    std::vector<std::string> texts;
    for (const Finding& finding : pipeline_.judge(image_, input_)) {
      texts.push_back(finding.text);
    }
    return texts;
  }
  /// As the pipeline should have left it: what the model misses is put there.
  void make_right() {
    for (const Document& document : input_.partitions[0].documents) {
      SentCommit::Row row{.values = {document.number}};
      image_["picked"].appended.push_back(row);
    }
  }

  static DrawnPipeline draw_plain() {
    for (std::uint64_t seed = 1;; ++seed) {
      SimRandom random(seed);
      DrawnPipeline drawn = DrawnPipeline::rows(random);
      if (drawn.file().ends_with("columns: { n: { value: $.n, type: integer } } }\n") &&
          drawn.file().find("where") == std::string::npos && !drawn.begins_at_latest()) {
        return drawn;
      }
    }
  }

  SimRandom random_{7};
  DrawnPipeline pipeline_ = draw_plain();
  InputTopic input_;
  SimDatabase::Image image_;
};

TEST_F(Model, all_rows_are_right) {
  make_right();
  EXPECT_THAT(judge(), IsEmpty());
}

TEST_F(Model, a_lost_row_is_named) {
  make_right();
  image_["picked"].appended.erase(image_["picked"].appended.begin() + 3);
  EXPECT_THAT(judge(), ElementsAre(HasSubstr("the row (3) is not there")));
}

TEST_F(Model, a_doubled_row_is_named) {
  make_right();
  image_["picked"].appended.push_back(image_["picked"].appended[5]);
  EXPECT_THAT(judge(), ElementsAre(HasSubstr("the row (5) is there more than once")));
}

TEST_F(Model, an_altered_row_is_named) {
  make_right();
  image_["picked"].appended[2].values[0] = std::int64_t{77};
  EXPECT_THAT(judge(), ElementsAre(HasSubstr("the row (77) does not belong there"),
                                   HasSubstr("the row (2) is not there")));
}

}  // namespace
}  // namespace onceflow::sim
