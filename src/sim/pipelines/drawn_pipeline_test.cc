// The grammar and the model: every file is a pipeline, and a row that is not right is named.
#include "sim/pipelines/drawn_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace onceflow::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kSeeds = 300;

TEST(DrawnPipeline, every_file_is_a_pipeline_and_a_changed_one_is_another) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SimRandom random(seed);
    const DrawnPipeline rows = DrawnPipeline::rows(random);
    DrawnPipeline::plan(rows.file());
    DrawnPipeline::plan(rows.next_file());
    const DrawnPipeline totals =
        DrawnPipeline::totals(random, seed % 2 == 0 ? DocumentSource::Tombstones::kSome
                                                    : DocumentSource::Tombstones::kNone);
    DrawnPipeline::plan(totals.file());
    DrawnPipeline::plan(totals.changed_file());
    DrawnPipeline::plan(totals.next_file());
    EXPECT_NE(totals.file(), totals.changed_file());
  }
}

class Model : public testing::Test {
 protected:
  Model() {
    input_.partitions.resize(1);
    DocumentSource documents(random_, DocumentSource::Tombstones::kNone);
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

/// The first that is as wanted, over a few seeds.
DrawnPipeline draw_rows(const std::function<bool(const DrawnPipeline&)>& is_wanted) {
  for (std::uint64_t seed = 1;; ++seed) {
    SimRandom random(seed);
    DrawnPipeline drawn = DrawnPipeline::rows(random);
    if (is_wanted(drawn)) {
      return drawn;
    }
  }
}

Document document_of(std::int64_t number, std::string key) {
  Document document{.number = number};
  document.key = {.json = '"' + key + '"', .value = key};
  return document;
}

TEST(ModelOfChanges, a_record_is_judged_by_the_file_of_its_time) {
  const auto has_all = [](const std::string& file) { return file.find("steps") == file.npos; };
  DrawnPipeline pipeline = draw_rows([&](const DrawnPipeline& drawn) {
    return has_all(drawn.file()) && !drawn.begins_at_latest() && !drawn.keeps_last_of_key() &&
           drawn.file().ends_with("columns: { n: { value: $.n, type: integer } } }\n") &&
           drawn.next_file().find("where: \"$.n % 3 = 0\"") != std::string::npos;
  });
  pipeline.go_on_with_next_file({4});
  InputTopic input;
  InputPartition& partition = input.partitions.emplace_back();
  SimDatabase::Image image;
  for (std::int64_t number = 0; number < 10; ++number) {
    partition.documents.push_back(document_of(number, "k"));
    if (number < 4 || number % 3 == 0) {
      image["picked"].appended.push_back({.values = {number}});
    }
  }
  EXPECT_EQ(pipeline.file(), pipeline.next_file());
  EXPECT_THAT(pipeline.judge(image, input), IsEmpty());
  pipeline.go_on_with_next_file({3});
  EXPECT_THAT(pipeline.judge(image, input), IsEmpty()) << "record 3 is kept by both";
  pipeline.go_on_with_next_file({2});
  EXPECT_EQ(pipeline.judge(image, input).size(), 1U) << "record 2 is not";
}

TEST(ModelOfChanges, a_record_without_a_value_deletes_its_row) {
  const DrawnPipeline pipeline = draw_rows([](const DrawnPipeline& drawn) {
    return drawn.takes_tombstones() && drawn.file().find("steps") == std::string::npos &&
           drawn.file().ends_with("columns: { id: key, n: { value: $.n, type: integer } } }\n");
  });
  InputTopic input;
  InputPartition& partition = input.partitions.emplace_back();
  partition.documents = {document_of(0, "a"), document_of(1, "b"), document_of(2, "a")};
  partition.documents.back().is_tombstone = true;
  SimDatabase::Image image;
  const SentCommit::Row second{.values = {std::string("\"b\""), std::int64_t{1}}};
  image["picked"].by_key[{second.values.front()}] = second;
  EXPECT_THAT(pipeline.judge(image, input), IsEmpty());
  partition.documents.push_back(document_of(3, "a"));
  EXPECT_EQ(pipeline.judge(image, input).size(), 1U) << "the row of a is there again";
}

TEST(ModelOfChanges, what_an_operator_skipped_is_not_missed) {
  const DrawnPipeline pipeline = draw_rows([](const DrawnPipeline& drawn) {
    return drawn.file().find("steps") == std::string::npos && !drawn.begins_at_latest() &&
           drawn.file().ends_with("append, columns: { n: { value: $.n, type: integer } } }\n");
  });
  InputTopic input;
  InputPartition& partition = input.partitions.emplace_back();
  partition.documents = {document_of(0, "a"), document_of(1, "b"), document_of(2, "a")};
  SimDatabase::Image image;
  image["picked"].appended = {{.values = {std::int64_t{0}}}, {.values = {std::int64_t{2}}}};
  EXPECT_EQ(pipeline.judge(image, input).size(), 1U);
  partition.skipped_from = 1;
  partition.skipped_to = 2;
  EXPECT_THAT(pipeline.judge(image, input), IsEmpty());
}

}  // namespace
}  // namespace onceflow::sim
