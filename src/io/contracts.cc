// The parts of the io contracts that stand on their virtual members alone.
#include <charconv>
#include <cstdlib>
#include <new>

#include "base/check.h"
#include "io/disk.h"
#include "io/event.h"
#include "io/network.h"

namespace onceflow::io {

BlockBuffer::BlockBuffer(std::size_t size_bytes)
    : size_bytes_((size_bytes + kDiskBlockBytes - 1) / kDiskBlockBytes * kDiskBlockBytes) {
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kDiskBlockBytes, size_bytes_));
  CHECK(data != nullptr);
  std::memset(data, 0, size_bytes_);
  data_.reset(data);
}

void BlockBuffer::Free::operator()(std::byte* data) const { std::free(data); }

Task<Status> File::sync_later() {
  co_return co_await await_callback<Status>(
      [this](auto callback) { async_sync(std::move(callback)); });
}

Task<Status> Disk::sync_directory_later(std::string path) {
  co_return co_await await_callback<Status>(
      [&](auto callback) { async_sync_directory(path, std::move(callback)); });
}

Result<Buffer> read_file(Disk& disk, const std::string& path) {
  auto file = disk.open(path, OpenMode::kRead);
  RETURN_IF_ERROR(file);
  const auto size_bytes = (*file)->size();
  RETURN_IF_ERROR(size_bytes);
  Buffer bytes(static_cast<std::size_t>(*size_bytes));
  const auto read_bytes = (*file)->read_at(0, bytes);
  RETURN_IF_ERROR(read_bytes);
  bytes.resize(*read_bytes);
  return bytes;
}

Status replace_file(Disk& disk, const std::string& path, ByteView bytes) {
  const std::string temporary = path + ".tmp";
  auto file = disk.open(temporary, OpenMode::kCreate);
  RETURN_IF_ERROR(file);
  RETURN_IF_ERROR((*file)->truncate(0));
  RETURN_IF_ERROR((*file)->write_at(0, bytes));
  RETURN_IF_ERROR((*file)->sync());
  RETURN_IF_ERROR(disk.rename(temporary, path));
  return disk.sync_directory(parent_directory(path));
}

std::string parent_directory(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) {
    return ".";
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string to_string(const Endpoint& endpoint) {
  const bool is_v6 = endpoint.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is not host:port");
  }
  Endpoint endpoint;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  endpoint.host = host;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc{} || end != port.data() + port.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text) + "': the port must be a number from 0 to 65535");
  }
  return endpoint;
}

Task<Result<std::size_t>> Connection::read(MutableByteView destination) {
  co_return co_await await_callback<Result<std::size_t>>(
      [this, destination](auto callback) { async_read(destination, std::move(callback)); });
}

Task<Status> Connection::read_fully(MutableByteView destination) {
  while (!destination.empty()) {
    const Result<std::size_t> count = co_await read(destination);
    CO_RETURN_IF_ERROR(count);
    if (*count == 0) {
      co_return fail(ErrorCode::kConnectionLost, "the peer closed the connection",
                     Recovery::kRetriable);
    }
    destination = destination.subspan(*count);
  }
  co_return Status{};
}

Task<Status> Connection::write(ByteView bytes) {
  const ByteView parts[] = {bytes};
  co_return co_await await_callback<Status>(
      [this, &parts](auto callback) { async_write(parts, std::move(callback)); });
}

Task<Result<std::unique_ptr<Connection>>> Listener::accept() {
  co_return co_await await_callback<Result<std::unique_ptr<Connection>>>(
      [this](auto callback) { async_accept(std::move(callback)); });
}

Task<Result<std::unique_ptr<Connection>>> Network::connect(Endpoint endpoint,
                                                           MonotonicTime deadline) {
  co_return co_await await_callback<Result<std::unique_ptr<Connection>>>(
      [&](auto callback) { async_connect(endpoint, deadline, std::move(callback)); });
}

}  // namespace onceflow::io
