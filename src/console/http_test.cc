#include "console/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::console {
namespace {

using Kind = ParsedRequest::Kind;

TEST(Http, a_request_is_complete_at_its_empty_line) {
  const std::string text = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\nGET";
  for (std::size_t size = 0; size < text.size() - 3; ++size) {
    EXPECT_EQ(parse_http_request(text.substr(0, size)).kind, Kind::kIncomplete) << size;
  }
  const ParsedRequest parsed = parse_http_request(text);
  ASSERT_EQ(parsed.kind, Kind::kComplete);
  EXPECT_EQ(parsed.request.method, "GET");
  EXPECT_EQ(parsed.request.path, "/metrics");
  EXPECT_TRUE(parsed.request.keeps_alive);
  EXPECT_EQ(parsed.size_bytes, text.size() - 3);
}

TEST(Http, a_query_is_decoded) {
  const auto query = [](const std::string& target) {
    return parse_http_request("GET " + target + " HTTP/1.1\r\n\r\n").request.query;
  };
  using ::testing::ElementsAre;
  using ::testing::Pair;
  EXPECT_THAT(query("/a"), ::testing::IsEmpty());
  EXPECT_THAT(query("/a?x=1&y=%2f%C3%BC+z&flag&x=2"),
              ElementsAre(Pair("flag", ""), Pair("x", "2"), Pair("y", "/\u00fc z")));
  EXPECT_THAT(query("/a?x=%2&y=%zz%"), ElementsAre(Pair("x", "%2"), Pair("y", "%zz%")));
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  EXPECT_EQ(query("/a?x=" + percent_encoded(all))["x"], all);
}

TEST(Http, a_chunk_has_its_size_before_it) {
  std::string chunk(kChunkHeadBytes, ' ');
  chunk += "hello";
  frame_chunk(chunk);
  EXPECT_EQ(chunk, "00000005\r\nhello\r\n");
}

TEST(Http, connections_are_kept_as_the_version_and_the_header_say) {
  const auto keeps_alive = [](const std::string& text) {
    return parse_http_request(text + "\r\n").request.keeps_alive;
  };
  EXPECT_FALSE(keeps_alive("GET / HTTP/1.0\r\n"));
  EXPECT_TRUE(keeps_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps_alive("GET / HTTP/1.1\r\nconnection: close\r\n"));
}

TEST(Http, nonsense_is_malformed) {
  for (const std::string text :
       {"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/2\r\n\r\n", "GET x HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n"}) {
    EXPECT_EQ(parse_http_request(text).kind, Kind::kMalformed) << text;
  }
}

TEST(Http, the_answer_to_head_has_no_body) {
  const HttpResponse response{.body = "hello"};
  EXPECT_TRUE(to_http(response, {.method = "GET"}).ends_with("\r\n\r\nhello"));
  const std::string head = to_http(response, {.method = "HEAD"});
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_NE(head.find("Content-Length: 5\r\n"), std::string::npos);
}

}  // namespace
}  // namespace onceflow::console
