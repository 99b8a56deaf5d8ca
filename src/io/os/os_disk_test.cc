#include "io/os/os_disk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "io/os/os_environment.h"
#include "io/os/process.h"

namespace onceflow::io {
namespace {

class OsDiskTest : public testing::Test {
 protected:
  OsDiskTest() {
    std::string name = (std::filesystem::temp_directory_path() / "onceflow-disk-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~OsDiskTest() override { std::filesystem::remove_all(folder_); }

  Status wait_for(const std::function<void(Callback<void(Status)>)>& start) {
    std::optional<Status> result;
    start([&](Status status) { result = std::move(status); });
    EXPECT_FALSE(result.has_value());
    EXPECT_TRUE(environment_.loop().run_until([&] { return result.has_value(); }, seconds(20)));
    return *result;
  }

  std::string folder_;
  OsEnvironment environment_;
  OsDisk& disk_ = environment_.disk();
};

TEST_F(OsDiskTest, reads_back_what_it_wrote) {
  auto file = disk_.open(folder_ + "/a", OpenMode::kCreateNew).value();
  ASSERT_TRUE(file->write_at(3, as_bytes("hello")).has_value());
  EXPECT_EQ(file->size().value(), 8U);
  Buffer buffer(100);
  EXPECT_EQ(file->read_at(4, buffer).value(), 4U);
  EXPECT_EQ(as_text(ByteView(buffer).first(4)), "ello");
  ASSERT_TRUE(file->truncate(5).has_value());
  EXPECT_TRUE(file->sync().has_value());
  EXPECT_EQ(read_file(disk_, folder_ + "/a").value().size(), 5U);
}

TEST_F(OsDiskTest, durable_writes_into_a_zeroed_file_complete_in_order) {
  auto file = disk_.open(folder_ + "/journal", OpenMode::kCreate).value();
  const std::uint64_t size_bytes = (5U << 20) + 4096;
  ASSERT_TRUE(wait_for([&](auto callback) {
                file->async_fill_with_zeros(size_bytes, std::move(callback));
              }).has_value());
  EXPECT_EQ(file->size().value(), size_bytes);
  std::vector<std::unique_ptr<BlockBuffer>> blocks;
  std::vector<int> completed;
  for (int index = 0; index < 8; ++index) {
    blocks.push_back(std::make_unique<BlockBuffer>(4096));
    blocks.back()->data()[0] = static_cast<std::byte>(index + 1);
    file->async_write_durable(static_cast<std::uint64_t>(index) * 4096,
                              ByteView(blocks.back()->data(), 4096), [&, index](Status status) {
                                EXPECT_TRUE(status.has_value());
                                completed.push_back(index);
                              });
  }
  ASSERT_TRUE(environment_.loop().run_until([&] { return completed.size() == 8; }, seconds(20)));
  EXPECT_TRUE(std::ranges::is_sorted(completed));
  Buffer buffer(4096);
  EXPECT_EQ(file->read_at(5 * 4096, buffer).value(), 4096U);
  EXPECT_EQ(buffer[0], std::byte{6});
  EXPECT_EQ(buffer[1], std::byte{0});
  EXPECT_TRUE(wait_for([&](auto callback) { file->async_sync(std::move(callback)); }).has_value());
}

TEST_F(OsDiskTest, room_that_is_set_aside_is_no_content_and_is_given_back) {
  const std::string path = folder_ + "/segment";
  const auto taken_bytes = [&] {
    struct stat status{};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  };
  auto file = disk_.open(path, OpenMode::kCreate).value();
  ASSERT_TRUE(file->write_at(0, as_bytes("hello")).has_value());
  ASSERT_TRUE(file->sync().has_value());
  file->reserve(8U << 20);
  EXPECT_EQ(file->size().value(), 5U);
  // A file system that cannot do it leaves things as they were.
  const bool is_set_aside = taken_bytes() >= 8U << 20;
  ASSERT_TRUE(file->truncate(5).has_value());
  EXPECT_LT(taken_bytes(), 1U << 20) << (is_set_aside ? "was set aside" : "was not");
  EXPECT_EQ(as_text(read_file(disk_, path).value()), "hello");
}

TEST_F(OsDiskTest, a_sync_in_the_background_takes_what_was_written_before_it) {
  auto file = disk_.open(folder_ + "/segment", OpenMode::kCreate).value();
  const Buffer bytes(std::size_t{5} << 20, std::byte{1});
  ASSERT_TRUE(file->write_at(4000, bytes).has_value());
  EXPECT_TRUE(wait_for([&](auto callback) { file->async_sync(std::move(callback)); }).has_value());
  EXPECT_TRUE(wait_for([&](auto callback) { file->async_sync(std::move(callback)); }).has_value());
  EXPECT_EQ(file->size().value(), 4000 + bytes.size());
}

TEST_F(OsDiskTest, a_folder_is_synced_without_blocking_and_says_if_it_is_not_there) {
  EXPECT_TRUE(wait_for([&](auto callback) {
                disk_.async_sync_directory(folder_, std::move(callback));
              }).has_value());
  const Status none = wait_for(
      [&](auto callback) { disk_.async_sync_directory(folder_ + "/none", std::move(callback)); });
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_NE(none.error().text.find(folder_ + "/none"), std::string::npos);
}

TEST_F(OsDiskTest, a_file_that_goes_takes_its_callbacks_along) {
  auto file = disk_.open(folder_ + "/a", OpenMode::kCreate).value();
  const BlockBuffer block(4096);
  bool called = false;
  for (int round = 0; round < 4; ++round) {
    file->async_write_durable(0, ByteView(block.data(), 4096), [&](Status) { called = true; });
    file->async_fill_with_zeros(8U << 20, [&](Status) { called = true; });
  }
  file.reset();
  environment_.loop().run_for(milliseconds(20));
  EXPECT_FALSE(called);
}

TEST_F(OsDiskTest, names_are_kept_in_order_and_errors_say_what_and_where) {
  ASSERT_TRUE(disk_.make_directory(folder_ + "/x/y/z").has_value());
  ASSERT_TRUE(disk_.make_directory(folder_ + "/x/y/z").has_value());
  ASSERT_TRUE(disk_.open(folder_ + "/x/b", OpenMode::kCreate).has_value());
  ASSERT_TRUE(replace_file(disk_, folder_ + "/x/a", as_bytes("1")).has_value());
  ASSERT_TRUE(replace_file(disk_, folder_ + "/x/a", as_bytes("two")).has_value());
  const auto entries = disk_.list(folder_ + "/x").value();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[1].name, "b");
  EXPECT_TRUE(entries[2].is_directory);
  EXPECT_EQ(as_text(read_file(disk_, folder_ + "/x/a").value()), "two");
  EXPECT_TRUE(disk_.remove(folder_ + "/x/b").has_value());
  EXPECT_FALSE(disk_.exists(folder_ + "/x/b").value());
  EXPECT_TRUE(disk_.remove(folder_ + "/x/y/z").has_value());
  EXPECT_EQ(disk_.remove(folder_ + "/none").error().code, ErrorCode::kNotFound);
  const auto none = disk_.open(folder_ + "/none", OpenMode::kRead);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_NE(none.error().text.find(folder_ + "/none"), std::string::npos);
  EXPECT_EQ(disk_.open(folder_ + "/x/a", OpenMode::kCreateNew).error().code,
            ErrorCode::kAlreadyExists);
  EXPECT_GT(disk_.free_bytes(folder_).value(), 0U);
}

TEST_F(OsDiskTest, a_lock_names_its_holder_and_ends_with_it) {
  auto lock = disk_.lock_directory(folder_);
  ASSERT_TRUE(lock.has_value());
  const auto second = disk_.lock_directory(folder_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kLocked);
  EXPECT_NE(second.error().text.find(std::to_string(process_id())), std::string::npos);
  lock->reset();
  EXPECT_TRUE(disk_.lock_directory(folder_).has_value());
}

TEST(Process, knows_its_own_use) {
  const ProcessUsage usage = process_usage();
  EXPECT_GT(usage.resident_bytes, 1U << 20);
  EXPECT_GT(usage.cpu_time, Duration::zero());
  EXPECT_GT(usage.open_file_count, 2U);
  EXPECT_GE(usage.open_file_count_max, usage.open_file_count);
}

}  // namespace
}  // namespace onceflow::io
