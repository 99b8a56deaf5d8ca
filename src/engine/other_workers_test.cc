#include "engine/other_workers.h"

#include <fmt/format.h>

#include <map>

#include "client/client_testing.h"
#include "client/range_assignor.h"
#include "protocol/messages/15_describe_groups.h"

namespace onceflow::engine {
namespace {

using protocol::PipelineDefinition;
using testing::HasSubstr;
using testing::Not;

PipelineDefinition definition_with(const std::string& steps) {
  PipelineDefinition definition;
  definition.pipeline = "p";
  definition.guarantee = "exactly_once";
  definition.stages.push_back({.id = "s",
                               .group_id = "g",
                               .sources = {"in"},
                               .steps = steps,
                               .state = {},
                               .changelog_topic = {},
                               .database = {},
                               .outputs = {"out"},
                               .columns = {}});
  return definition;
}

/// A group whose members have the notes in `notes_`, by instance.
class OtherWorkersTest : public client::ClientTest {
 public:
  OtherWorkersTest() {
    broker_.script<protocol::DescribeGroupsRequest>(
        [this](const protocol::DescribeGroupsRequest& request, std::int16_t) {
          if (++asked_count_ > gone_after_) {
            notes_.clear();
          }
          protocol::DescribeGroupsResponse response;
          auto& group = response.groups.emplace_back();
          group.group_id = request.groups.at(0);
          group.group_state = "Stable";
          metadata_.clear();
          metadata_.reserve(notes_.size());
          for (const auto& [instance, note] : notes_) {
            metadata_.push_back(client::encode_subscription({"t"}, note));
            auto& member = group.members.emplace_back();
            member.member_id = instance + "-uuid";
            member.group_instance_id = instance;
            member.client_id = "theirs";
            member.client_host = "/10.0.0.3";
            member.member_metadata = metadata_.back();
          }
          return response;
        });
  }

  static std::string note_of(const std::string& steps, Rolling rolling = Rolling::kNo) {
    return with_definition("pid=7", definition_with(steps), rolling);
  }

  PlaceOptions place() {
    return {.rule = PlaceRule::kRefuseIfHeld,
            .judge = [this](std::string_view) { return life_; },
            .describe = [](std::string_view) { return std::string("process 7 on h"); }};
  }

  OthersQuestion question() const {
    return {.group_ids = {"g", "g-2"},
            .pipeline = "p",
            .group_instance_id = instance_,
            .definition = protocol::definition_hash(definition_with("where $.a\n").text()),
            .is_known = is_known_,
            .databases = {{.sink = "s", .place = 7, .path = "/here/a b.db"}}};
  }

  Status wait() {
    return run(wait_for_others(
        cluster_, place(), question(), rolling_, "s: `where $.b` is now `where $.a`", "p.yaml",
        milliseconds(500), [] { return false; },
        [this](const StageCause& cause) { waited_for_ = cause.what; }));
  }

  std::map<std::string, std::string> notes_;
  std::vector<Buffer> metadata_;
  std::string instance_ = "p-1";
  MemberLife life_ = MemberLife::kAlive;
  bool is_known_ = true;
  Rolling rolling_ = Rolling::kNo;
  int asked_count_ = 0;
  int gone_after_ = 1'000'000;
  std::string waited_for_;
};

TEST_F(OtherWorkersTest, a_note_says_its_definition_and_whether_it_is_meant) {
  const DefinitionNote note = parse_definition_note(note_of("where $.a\n", Rolling::kYes));
  EXPECT_EQ(note.hash, protocol::definition_hash(definition_with("where $.a\n").text()));
  EXPECT_EQ(note.rolling, Rolling::kYes);
  EXPECT_EQ(note.pipeline, "p");
  EXPECT_EQ(parse_definition_note(note_of("where $.a\n")).rolling, Rolling::kNo);
  EXPECT_FALSE(parse_definition_note("pid=1 host=h").hash);
  EXPECT_FALSE(parse_definition_note("pid=1 definition=x").hash);
  EXPECT_FALSE(parse_definition_note("").hash);
}

TEST_F(OtherWorkersTest, every_part_of_a_definition_is_in_its_hash) {
  const PipelineDefinition before = definition_with("where $.a\n");
  std::vector<PipelineDefinition> others(8, before);
  others[0].stages[0].steps = "where $.b\n";
  others[1].stages[0].columns = "mode append\n";
  others[2].stages[0].outputs = {"out2"};
  others[3].stages[0].group_id = "h";
  others[4].stages[0].database = "postgres";
  others[5].guarantee = "at_least_once";
  others[6].stages[0].sources = {"in", "in2"};
  others[7].stages[0].state = "values 1\n";
  for (const PipelineDefinition& other : others) {
    EXPECT_NE(protocol::definition_hash(other.text()), protocol::definition_hash(before.text()));
  }
}

TEST_F(OtherWorkersTest, workers_with_the_same_file_are_no_obstacle) {
  notes_ = {{"p-2", note_of("where $.a\n")}, {"p-3", note_of("where $.a\n", Rolling::kYes)}};
  EXPECT_TRUE(wait());
}

TEST_F(OtherWorkersTest, members_without_an_instance_are_known_by_their_notes) {
  instance_ = "";
  notes_ = {{"", note_of("where $.a\n")}};
  EXPECT_TRUE(wait());
  notes_ = {{"", note_of("where $.b\n")}};
  const Status waited = wait();
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, ErrorCode::kRefused);
  EXPECT_THAT(waited.error().text, HasSubstr("worker 'theirs'"));
}

TEST_F(OtherWorkersTest, one_with_another_file_is_named_with_the_ways_on) {
  notes_ = {{"p-2", note_of("where $.a\n")}, {"p-3", note_of("where $.b\n")}};
  const Status waited = wait();
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, ErrorCode::kRefused);
  for (const char* word : {"worker '3'", "process 7 on h", "/10.0.0.3", "`where $.b` is now",
                           "stop it", "change the file back", "run p.yaml --rolling-change"}) {
    EXPECT_THAT(waited.error().text, HasSubstr(word));
  }
  EXPECT_THAT(waited.error().text, Not(HasSubstr("worker '2'")));
}

TEST_F(OtherWorkersTest, one_that_says_nothing_goes_by_what_is_known) {
  notes_ = {{"p-2", "pid=7 host=h"}};
  EXPECT_TRUE(wait());
  is_known_ = false;
  EXPECT_FALSE(wait());
}

TEST_F(OtherWorkersTest, a_worker_of_another_pipeline_is_refused_also_where_names_begin_alike) {
  for (const char* pipeline : {"q", "p-2", "p-"}) {
    PipelineDefinition theirs = definition_with("where $.a\n");
    theirs.pipeline = pipeline;
    const std::string instance = fmt::format("{}-3", pipeline);
    notes_ = {{instance, with_definition("pid=7", theirs, Rolling::kYes)}};
    const Status waited = wait();
    ASSERT_FALSE(waited) << pipeline;
    EXPECT_EQ(waited.error().code, ErrorCode::kRefused);
    for (const std::string& word :
         {fmt::format("worker '3' of pipeline '{}'", pipeline),
          std::string("group 'g' of pipeline 'p'"), std::string("process 7 on h"),
          std::string("`group.id` of its own")}) {
      EXPECT_THAT(waited.error().text, HasSubstr(word));
    }
    life_ = MemberLife::kDead;
    EXPECT_TRUE(wait());
    life_ = MemberLife::kAlive;
  }
}

TEST_F(OtherWorkersTest, dead_ones_its_own_place_and_strangers_are_not_waited_for) {
  notes_ = {{"p-1", note_of("where $.b\n")}, {"q-1", ""}, {"", ""}};
  EXPECT_TRUE(wait());
  notes_ = {{"p-2", note_of("where $.b\n")}};
  life_ = MemberLife::kDead;
  EXPECT_TRUE(wait());
  EXPECT_EQ(waited_for_, "");
}

TEST_F(OtherWorkersTest, one_that_cannot_be_seen_is_given_its_session_to_be_gone) {
  notes_ = {{"p-2", note_of("where $.b\n")}};
  life_ = MemberLife::kUnknown;
  gone_after_ = 3;
  EXPECT_TRUE(wait());
  EXPECT_THAT(waited_for_, HasSubstr("worker '2'"));
  notes_ = {{"p-2", note_of("where $.b\n")}};
  gone_after_ = 1'000'000;
  EXPECT_FALSE(wait());
}

TEST_F(OtherWorkersTest, a_note_says_the_files_of_its_databases) {
  const std::vector<DatabaseFile> files = {{"s", 7, "/a b/c|d%.db"},
                                           {"t", 0xfffffffffffffff0, "/t"}};
  const std::string note = with_definition(with_databases("pid=7", files),
                                           definition_with("where $.a\n"), Rolling::kYes);
  const std::vector<DatabaseFile> found = parse_databases(note);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], (DatabaseFile{"s", 7, "/a%20b/c%7Cd%25.db"}));
  EXPECT_EQ(found[1], files[1]);
  EXPECT_EQ(parse_definition_note(note).rolling, Rolling::kYes);
  EXPECT_EQ(parse_definition_note(note).pipeline, "p");
  for (const char* broken :
       {"", " database=", " database=s", " database=s|7", " database=s|x|/a"}) {
    EXPECT_TRUE(parse_databases(broken).empty()) << broken;
  }
}

TEST_F(OtherWorkersTest, one_with_another_database_is_refused_whatever_its_definition) {
  const auto note = [](std::uint64_t place, const std::string& steps,
                       const std::string& sink = "s") {
    const std::vector<DatabaseFile> files = {{sink, place, "/there/a.db"}};
    return with_definition(with_databases("pid=7", files), definition_with(steps), Rolling::kYes);
  };
  for (const char* steps : {"where $.a\n", "where $.b\n"}) {
    for (const Rolling rolling : {Rolling::kNo, Rolling::kYes}) {
      rolling_ = rolling;
      notes_ = {{"p-2", note(8, steps)}};
      const Status waited = wait();
      ASSERT_FALSE(waited);
      EXPECT_EQ(waited.error().code, ErrorCode::kRefused);
      for (const char* word :
           {"worker '2'", "process 7 on h", "sink s writes /there/a.db there, and ",
            "/here/a%20b.db here", "absolute path"}) {
        EXPECT_THAT(waited.error().text, HasSubstr(word));
      }
    }
  }
  rolling_ = Rolling::kNo;
  notes_ = {{"p-1", note(8, "where $.a\n")}};  // its own place
  EXPECT_TRUE(wait());
  notes_ = {{"p-2", note(7, "where $.a\n")}, {"p-3", note(8, "where $.a\n", "t")}};
  EXPECT_TRUE(wait());
  notes_ = {{"p-2", note(8, "where $.a\n")}};
  life_ = MemberLife::kUnknown;
  gone_after_ = asked_count_ + 3;
  EXPECT_TRUE(wait());
  EXPECT_THAT(waited_for_, HasSubstr("to another database than this worker writes: worker '2'"));
}

}  // namespace
}  // namespace onceflow::engine
