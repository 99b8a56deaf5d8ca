#include "app/masked_streams.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <streambuf>
#include <string_view>
#include <utility>

namespace onceflow::app {
namespace {

bool is_json(std::string_view text) {
  return (text.starts_with('{') || text.starts_with('[')) && nlohmann::json::accept(text);
}

}  // namespace

// Holds nothing, so that threads may write at once as they may without it: what is inserted in one
// piece is masked in one piece.
class MaskedStreams::Filter final : public std::streambuf {
 public:
  Filter(std::ostream& stream, const Secrets& secrets)
      : stream_(stream), secrets_(secrets), target_(stream.rdbuf(this)) {}
  ~Filter() override { stream_.rdbuf(target_); }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

 private:
  int_type overflow(int_type letter) override {
    return traits_type::eq_int_type(letter, traits_type::eof())
               ? traits_type::not_eof(letter)
               : target_->sputc(traits_type::to_char_type(letter));
  }
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    const std::string_view piece(text, static_cast<std::size_t>(count));
    const std::string shown = is_json(piece) ? secrets_.masked_json(piece) : secrets_.masked(piece);
    const auto size = static_cast<std::streamsize>(shown.size());
    return target_->sputn(shown.data(), size) == size ? count : 0;
  }
  int sync() override { return target_->pubsync(); }

  std::ostream& stream_;
  const Secrets& secrets_;
  std::streambuf* const target_;
};

MaskedStreams::MaskedStreams(const Secrets& secrets) {
  if (!secrets.empty()) {
    out_ = std::make_unique<Filter>(std::cout, secrets);
    err_ = std::make_unique<Filter>(std::cerr, secrets);
  }
}

MaskedStreams::~MaskedStreams() = default;

TellEvent masked(TellEvent tell, const Secrets& secrets) {
  if (secrets.empty()) {
    return tell;
  }
  return [tell = std::move(tell), &secrets](LogEvent event) {
    event.stage = secrets.masked(event.stage);
    event.text = secrets.masked(event.text);
    tell(event);
  };
}

std::vector<console::MetricFamily> masked(std::vector<console::MetricFamily> families,
                                          const Secrets& secrets) {
  if (secrets.empty()) {
    return families;
  }
  for (console::MetricFamily& family : families) {
    for (console::Sample& sample : family.samples) {
      for (auto& [name, value] : sample.labels) {
        value = secrets.masked(value);
      }
    }
  }
  return families;
}

}  // namespace onceflow::app
