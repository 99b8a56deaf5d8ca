// What an operator hears of clients: each kind by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "broker/broker.h"
#include "broker/broker_testing.h"
#include "protocol/messages/index.h"

namespace onceflow::broker {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(ClientNews, of_one_kind_does_not_hide_another) {
  std::string pattern = (std::filesystem::temp_directory_path() / "onceflow-XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  io::OsEnvironment os;
  std::vector<std::string> notices;
  BrokerOptions options;
  options.server.listen = {"127.0.0.1", 0};
  options.log.directory = pattern;
  options.on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; };
  options.on_notice = [&](const Error& error) { notices.push_back(error.text); };
  {
    Broker broker(os.environment(), std::make_unique<io::OsBlockingThread>(os.loop()), options);
    ASSERT_TRUE(run_task(os.loop(), broker.start()));
    const auto connect = [&] {
      return std::make_unique<RawClient>(os.loop(), os.network(), broker.local().port);
    };
    for (int count = 0; count < 20; ++count) {
      const auto client = connect();
      protocol::HeartbeatRequest request{.group_id = "g"};
      Buffer frame;
      protocol::encode_request_frame(frame, request, 4, 1, "test");
      frame.resize(frame.size() - 2);
      frame[3] = static_cast<std::byte>(frame.size() - 4);
      client->send(ByteView(frame));
      EXPECT_TRUE(client->is_closed());
    }
    const std::size_t of_one_kind = notices.size();
    EXPECT_LT(of_one_kind, 20u);
    const auto client = connect();
    protocol::DescribeGroupsRequest many;
    for (int number = 0; number < 20'000; ++number) {
      many.groups.push_back("g" + std::to_string(number));
    }
    client->send(many, 1);
    EXPECT_TRUE(client->is_closed());
    EXPECT_THAT(notices, Contains(HasSubstr("names 20000 things")));
    EXPECT_EQ(notices.size(), of_one_kind + 1);
    EXPECT_TRUE(run_task(os.loop(), broker.stop()));
  }
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace onceflow::broker
