// Every message in every version: round trips, truncation, damage, unknown tags, foreign bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "base/wire.h"
#include "protocol/message_text.h"
#include "protocol/messages/index.h"
#include "protocol/testing/hex.h"
#include "protocol/testing/random_message.h"

namespace onceflow::protocol {
namespace {

using testing::from_hex;
using testing::RandomMessages;
using testing::to_hex;

template <typename... Messages>
struct EachMessage {
  template <typename Visitor>
  static void visit(Visitor visitor) {
    (visitor.template operator()<Messages>(), ...);
  }
};

/// Calls visitor.operator()<Message>(version) for all of them.
template <typename Visitor>
void for_each_message_and_version(Visitor visitor) {
  ForAllMessages<EachMessage>::visit([&]<typename Message>() {
    for (std::int16_t version = Message::kVersionMin; version <= Message::kVersionMax; ++version) {
      SCOPED_TRACE(std::string(Message::kName) + " version " + std::to_string(version));
      visitor.template operator()<Message>(version);
      if (::testing::Test::HasFailure()) {
        return;
      }
    }
  });
}

template <typename Message>
Buffer encode(const Message& message, std::int16_t version) {
  Buffer bytes;
  WireWriter writer(bytes);
  message.encode(writer, version);
  return bytes;
}

TEST(Messages, decode_gives_what_was_encoded) {
  for_each_message_and_version([]<typename Message>(std::int16_t version) {
    RandomMessages random(static_cast<std::uint64_t>(version) + 1);
    for (int round = 0; round < 30; ++round) {
      const auto message = random.make<Message>(version);
      const Buffer bytes = encode(message, version);
      WireReader reader(bytes);
      const auto decoded = Message::decode(reader, version);
      ASSERT_TRUE(decoded.has_value()) << decoded.error().text << " in round " << round;
      EXPECT_EQ(reader.remaining(), 0U);
      ASSERT_TRUE(*decoded == message) << message_text(message, version) << "\n"
                                       << message_text(*decoded, version);
      ASSERT_EQ(to_hex(encode(*decoded, version)), to_hex(bytes));
    }
  });
}

TEST(Messages, a_fresh_message_encodes_in_every_version) {
  for_each_message_and_version([]<typename Message>(std::int16_t version) {
    const Buffer bytes = encode(Message{}, version);
    WireReader reader(bytes);
    const auto decoded = Message::decode(reader, version);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_TRUE(*decoded == Message{});
  });
}

TEST(Messages, every_truncation_is_an_error) {
  for_each_message_and_version([]<typename Message>(std::int16_t version) {
    RandomMessages random(7);
    for (int round = 0; round < 3; ++round) {
      const Buffer bytes = encode(random.make<Message>(version), version);
      for (std::size_t length = 0; length < bytes.size(); ++length) {
        // A copy of exactly that size, so that a sanitizer sees a read past it.
        const Buffer cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
        WireReader reader(cut);
        const auto decoded = Message::decode(reader, version);
        ASSERT_FALSE(decoded.has_value()) << length << " of " << bytes.size() << " bytes";
        ASSERT_EQ(decoded.error().code, onceflow::ErrorCode::kCorrupt);
      }
    }
  });
}

TEST(Messages, damage_decodes_to_something_or_to_an_error) {
  for_each_message_and_version([]<typename Message>(std::int16_t version) {
    RandomMessages random(11);
    for (int round = 0; round < 20; ++round) {
      Buffer bytes = encode(random.make<Message>(version), version);
      for (int flips = 0; flips < 3 && !bytes.empty(); ++flips) {
        bytes[random.below(bytes.size())] = static_cast<std::byte>(random.below(256));
      }
      WireReader reader(bytes);
      if (const auto decoded = Message::decode(reader, version)) {
        // Whatever decodes can be encoded again.
        encode(*decoded, version);
      }
    }
  });
}

TEST(Messages, unknown_tagged_fields_are_skipped_by_size) {
  for_each_message_and_version([]<typename Message>(std::int16_t version) {
    if (version < Message::kFlexibleFrom) {
      return;
    }
    // A fresh message ends in the count of its own tagged fields, which is 0.
    Buffer bytes = encode(Message{}, version);
    ASSERT_EQ(bytes.back(), std::byte{0});
    bytes.pop_back();
    WireWriter writer(bytes);
    writer.write_unsigned_varint(2);
    writer.write_unsigned_varint(500);
    writer.write_sized_bytes({});
    writer.write_unsigned_varint(12345);
    writer.write_sized_string("some later idea");
    WireReader reader(bytes);
    const auto decoded = Message::decode(reader, version);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_TRUE(*decoded == Message{});
    EXPECT_EQ(reader.remaining(), 0U);
  });
}

TEST(Messages, versions_outside_the_range_are_unsupported) {
  ForAllMessages<EachMessage>::visit([]<typename Message>() {
    for (const int version : {Message::kVersionMin - 1, Message::kVersionMax + 1}) {
      WireReader reader({});
      const auto decoded = Message::decode(reader, static_cast<std::int16_t>(version));
      ASSERT_FALSE(decoded.has_value());
      EXPECT_EQ(decoded.error().code, onceflow::ErrorCode::kUnsupported);
    }
  });
}

TEST(Messages, an_array_that_claims_more_than_there_is_costs_nothing) {
  // Metadata version 1: an array of 2^31 - 1 topics in 4 bytes; version 9: 2^62 of them.
  const Buffer old = from_hex("7fffffff");
  WireReader old_reader(old);
  EXPECT_FALSE(MetadataRequest::decode(old_reader, 1).has_value());
  const Buffer flexible = from_hex("ffffffffffffffff3f");
  WireReader flexible_reader(flexible);
  EXPECT_FALSE(MetadataRequest::decode(flexible_reader, 9).has_value());
}

TEST(Messages, null_is_an_error_where_it_is_not_allowed) {
  // Metadata version 0 has no null array of topics; from version 1 on it means all topics.
  const Buffer null_array = from_hex("ffffffff");
  WireReader reader_v0(null_array);
  EXPECT_FALSE(MetadataRequest::decode(reader_v0, 0).has_value());
  WireReader reader_v1(null_array);
  const auto all_topics = MetadataRequest::decode(reader_v1, 1);
  ASSERT_TRUE(all_topics.has_value());
  EXPECT_FALSE(all_topics->topics.has_value());
  // A group id is never null, and no length is below -1.
  for (const char* bytes : {"ffff", "fffe", "8000"}) {
    const Buffer group_id = from_hex(std::string(bytes) + "00000000" + "0000");
    WireReader reader(group_id);
    EXPECT_FALSE(HeartbeatRequest::decode(reader, 0).has_value()) << bytes;
  }
}

/// Sets the text at one place of a message, counted in the order of the fields; false if there are
/// fewer. `Message` by for_each_field, structures in arrays by their first element.
class TextSetter {
 public:
  TextSetter(std::size_t place, std::string text) : left_(place), text_(std::move(text)) {}

  template <typename Structure>
  void visit(Structure& structure, std::int16_t version) {
    Structure::for_each_field(structure, version, [&](const FieldInfo&, auto& value) {
      if (!is_done_) {
        put(value, version);
      }
    });
  }
  bool is_done() const { return is_done_; }

 private:
  void put(std::string& value, std::int16_t) {
    if (left_-- == 0) {
      value = text_;
      is_done_ = true;
    }
  }
  template <typename T>
  void put(std::optional<T>& value, std::int16_t version) {
    put(value ? *value : value.emplace(), version);
  }
  template <typename T>
  void put(std::vector<T>& values, std::int16_t version) {
    if constexpr (!std::is_arithmetic_v<T>) {
      put(values.empty() ? values.emplace_back() : values.front(), version);
    }
  }
  template <typename T>
  void put(T& value, std::int16_t version) {
    if constexpr (requires { T::for_each_field(value, version, [](auto&&...) {}); }) {
      visit(value, version);
    }
  }

  std::size_t left_;
  std::string text_;
  bool is_done_ = false;
};

template <typename Message>
constexpr bool kIsResponse = std::string_view(Message::kName).ends_with("Response");

TEST(Messages, every_text_of_a_request_is_utf8) {
  std::size_t tried = 0;
  for_each_message_and_version([&]<typename Message>(std::int16_t version) {
    if (kIsResponse<Message>) {
      return;
    }
    for (std::size_t place = 0;; ++place) {
      Message sound;
      TextSetter sound_setter(place, "gr\u00fc\u00df\n");
      sound_setter.visit(sound, version);
      if (!sound_setter.is_done()) {
        break;
      }
      ++tried;
      const Buffer good = encode(sound, version);
      WireReader good_reader(good);
      ASSERT_TRUE(Message::decode(good_reader, version).has_value()) << place;
      for (const char* const text :
           {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"}) {
        Message unsound;
        TextSetter(place, text).visit(unsound, version);
        const Buffer bad = encode(unsound, version);
        WireReader reader(bad);
        ASSERT_FALSE(Message::decode(reader, version).has_value()) << place << " " << text;
      }
    }
  });
  EXPECT_GT(tried, 300U);
}

TEST(Messages, bytes_of_a_response_that_are_not_utf8_are_escaped) {
  ListGroupsResponse response;
  response.groups = {{.group_id = "a\xff"
                                  "b"},
                     {.group_id = "c"}};
  const Buffer bytes = encode(response, 4);
  WireReader reader(bytes);
  const auto decoded = ListGroupsResponse::decode(reader, 4);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->groups.at(0).group_id, "a\\xffb");
  EXPECT_EQ(decoded->groups.at(1).group_id, "c");
}

TEST(Messages, a_text_of_a_response_that_could_not_be_sent_again_is_refused) {
  const auto decodes = [](std::size_t count) {
    ListGroupsResponse response;
    response.groups = {{.group_id = std::string(count, '\xff')}};
    const Buffer bytes = encode(response, 4);
    WireReader reader(bytes);
    return ListGroupsResponse::decode(reader, 4).has_value();
  };
  EXPECT_TRUE(decodes(8191));
  EXPECT_FALSE(decodes(8192));
}

TEST(Messages, a_string_above_32767_bytes_is_refused_in_flexible_versions_too) {
  const auto decode_with_key_bytes = [](std::size_t count) {
    Buffer bytes;
    WireWriter writer(bytes);
    writer.write_unsigned_varint(count + 1);
    writer.write_text(std::string(count, 'k'));
    writer.write_int8(0);
    writer.write_unsigned_varint(0);
    WireReader reader(bytes);
    return FindCoordinatorRequest::decode(reader, 3).has_value();
  };
  EXPECT_TRUE(decode_with_key_bytes(32767));
  EXPECT_FALSE(decode_with_key_bytes(32768));
}

TEST(Messages, an_error_message_is_cut_at_the_limit_of_strings) {
  const FindCoordinatorResponse response{.error_message = std::string(40000, 'e')};
  const Buffer bytes = encode(response, 1);
  WireReader reader(bytes);
  const auto decoded = FindCoordinatorResponse::decode(reader, 1);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->error_message->size(), 32767U);
}

TEST(Messages, bytes_are_views_into_the_request) {
  const Buffer records = from_hex("00112233");
  ProduceRequest request;
  request.topic_data = {{.name = "orders", .partition_data = {{.index = 3, .records = records}}}};
  const Buffer bytes = encode(request, 9);
  WireReader reader(bytes);
  const auto decoded = ProduceRequest::decode(reader, 9);
  ASSERT_TRUE(decoded.has_value());
  const ByteView view = *decoded->topic_data[0].partition_data[0].records;
  EXPECT_GE(view.data(), bytes.data());
  EXPECT_LE(view.data() + view.size(), bytes.data() + bytes.size());
  EXPECT_TRUE(equal(view, records));
}

/// One message as a foreign encoder wrote it.
struct Golden {
  std::int16_t version = 0;
  Buffer bytes;
  std::string text;
};

std::map<std::string, std::vector<Golden>> read_goldens() {
  std::map<std::string, std::vector<Golden>> goldens;
  std::ifstream file("tests/golden/protocol/messages.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::string hex;
    Golden golden;
    words >> name >> golden.version >> hex;
    golden.bytes = from_hex(hex == "-" ? "" : hex);
    std::getline(words >> std::ws, golden.text);
    goldens[name].push_back(std::move(golden));
  }
  return goldens;
}

TEST(Messages, foreign_bytes_decode_to_their_fields_and_encode_to_the_same_bytes) {
  const auto goldens = read_goldens();
  ASSERT_EQ(goldens.size(), 78u) << "39 APIs, two directions";
  std::size_t checked = 0;
  ForAllMessages<EachMessage>::visit([&]<typename Message>() {
    const auto found = goldens.find(std::string(Message::kName));
    if (found == goldens.end()) {
      return;
    }
    for (const Golden& golden : found->second) {
      SCOPED_TRACE(std::string(Message::kName) + " version " + std::to_string(golden.version));
      WireReader reader(golden.bytes);
      const auto decoded = Message::decode(reader, golden.version);
      ASSERT_TRUE(decoded.has_value()) << to_hex(golden.bytes) << " " << golden.text;
      EXPECT_EQ(reader.remaining(), 0U);
      EXPECT_EQ(message_text(*decoded, golden.version), golden.text);
      EXPECT_EQ(to_hex(encode(*decoded, golden.version)), to_hex(golden.bytes));
    }
    ++checked;
  });
  EXPECT_EQ(checked, goldens.size());
}

}  // namespace
}  // namespace onceflow::protocol
