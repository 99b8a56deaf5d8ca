#include "engine/worker_place.h"

#include "client/client_testing.h"
#include "client/range_assignor.h"
#include "protocol/messages/15_describe_groups.h"

namespace onceflow::engine {
namespace {

using testing::HasSubstr;

/// A group in which `instances` live, each with the note "note of <instance>".
class WorkerPlaceTest : public client::ClientTest {
 public:
  WorkerPlaceTest() {
    broker_.script<protocol::DescribeGroupsRequest>(
        [this](const protocol::DescribeGroupsRequest& request, std::int16_t) {
          ++asked_count_;
          protocol::DescribeGroupsResponse response;
          auto& group = response.groups.emplace_back();
          group.group_id = request.groups.at(0);
          group.group_state = "Stable";
          if (asked_count_ > gone_after_) {
            instances_.clear();
          }
          notes_.clear();
          for (const std::string& instance : instances_) {
            notes_.push_back(client::encode_subscription({"t"}, "note of " + instance));
            auto& member = group.members.emplace_back();
            member.member_id = instance + "-uuid";
            member.group_instance_id = instance;
            member.client_id = "theirs";
            member.client_host = "/10.0.0.3";
            member.member_metadata = notes_.back();
          }
          return response;
        });
  }

  Status take(MemberLife life, PlaceRule rule = PlaceRule::kRefuseIfHeld) {
    return run(take_place(
        cluster_,
        {.rule = rule,
         .judge =
             [this, life](std::string_view note) {
               seen_note_ = note;
               return life;
             },
         .describe = [](std::string_view) { return std::string("process 7 on h"); }},
        {.group_ids = {"g", "g-2"},
         .group_instance_id = instance_,
         .worker = "1",
         .session_timeout = milliseconds(500)},
        [this] { return must_stop_; },
        [this](const StageCause& cause) { waited_for_ = cause.what; }));
  }

  std::string instance_ = "p-1";
  std::vector<std::string> instances_{"p-2", "p-1"};
  std::vector<Buffer> notes_;
  int asked_count_ = 0;
  int gone_after_ = 1'000'000;
  bool must_stop_ = false;
  std::string seen_note_;
  std::string waited_for_;
};

TEST_F(WorkerPlaceTest, a_name_that_nobody_has_is_free) {
  instances_ = {"p-2", "p-11"};
  EXPECT_TRUE(take(MemberLife::kAlive));
  EXPECT_EQ(seen_note_, "");
}

TEST_F(WorkerPlaceTest, one_without_an_instance_has_no_place_to_take) {
  instance_ = "";
  instances_ = {""};
  EXPECT_TRUE(take(MemberLife::kAlive));
}

TEST_F(WorkerPlaceTest, a_live_holder_is_named_with_its_address_and_what_to_do) {
  const Status taken = take(MemberLife::kAlive);
  ASSERT_FALSE(taken);
  EXPECT_EQ(seen_note_, "note of p-1");
  EXPECT_EQ(taken.error().code, ErrorCode::kRefused);
  for (const char* word :
       {"worker '1'", "process 7 on h", "/10.0.0.3", "--worker", "--take-over"}) {
    EXPECT_THAT(taken.error().text, HasSubstr(word));
  }
}

TEST_F(WorkerPlaceTest, the_place_of_a_dead_process_is_taken_at_once) {
  EXPECT_TRUE(take(MemberLife::kDead));
  EXPECT_EQ(waited_for_, "");
}

TEST_F(WorkerPlaceTest, one_that_cannot_be_seen_is_given_its_session_to_be_gone) {
  gone_after_ = 4;
  EXPECT_TRUE(take(MemberLife::kUnknown));
  EXPECT_THAT(waited_for_, HasSubstr("/10.0.0.3"));
}

TEST_F(WorkerPlaceTest, one_that_is_still_there_after_its_session_lives) {
  const Status taken = take(MemberLife::kUnknown);
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().text, HasSubstr("running already"));
}

TEST_F(WorkerPlaceTest, who_means_it_is_not_asked) {
  EXPECT_TRUE(take(MemberLife::kAlive, PlaceRule::kTakeOver));
  EXPECT_EQ(asked_count_, 0);
}

TEST_F(WorkerPlaceTest, a_stop_ends_the_wait) {
  loop_.schedule_after(milliseconds(50), [this] { must_stop_ = true; });
  const Status taken = take(MemberLife::kUnknown);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace onceflow::engine
