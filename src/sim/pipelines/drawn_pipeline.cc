#include "sim/pipelines/drawn_pipeline.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"

namespace onceflow::sim {

namespace {

using Row = std::vector<StoredValue>;
using Group = std::vector<const Document*>;

const std::int64_t* integer_of(const StoredValue& value) {
  return std::get_if<std::int64_t>(&value);
}

bool is_null(const StoredValue& value) { return std::holds_alternative<std::monostate>(value); }

/// A value in a column of text: numbers as their digits.
StoredValue as_text_column(const StoredValue& value) {
  if (const auto* integer = integer_of(value)) {
    return fmt::format("{}", *integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return fmt::format("{}", *real);
  }
  return value;
}

/// A value in a column of reals.
StoredValue as_real_column(const StoredValue& value) {
  const auto* integer = integer_of(value);
  return integer != nullptr ? StoredValue(static_cast<double>(*integer)) : value;
}

/// A sum of eighths, which is what all sizes are: doubles would not hold it.
class Eighths {
 public:
  void add(double value) {
    const double whole = std::floor(value);
    whole_ += static_cast<std::int64_t>(whole);
    eighths_ += static_cast<std::int64_t>((value - whole) * 8);
    whole_ += eighths_ / 8;
    eighths_ %= 8;
  }
  StoredDecimal sum() const {
    const bool is_below_zero = whole_ < 0;
    const bool is_borrowed = is_below_zero && eighths_ > 0;
    const std::int64_t whole = is_below_zero ? -whole_ - (is_borrowed ? 1 : 0) : whole_;
    std::string text = fmt::format("{}{}.{:03}", is_below_zero ? "-" : "", whole,
                                   (is_borrowed ? 8 - eighths_ : eighths_) * 125);
    text.resize(text.find_last_not_of('0') + 1);
    return {text.back() == '.' ? text.substr(0, text.size() - 1) : text};
  }

 private:
  std::int64_t whole_ = 0;
  std::int64_t eighths_ = 0;
};

/// A size in a column of decimals.
StoredValue as_decimal_column(const StoredValue& value) {
  const auto* real = std::get_if<double>(&value);
  if (real == nullptr) {
    return value;
  }
  Eighths sum;
  sum.add(*real);
  return sum.sum();
}

struct Condition {
  std::string_view sql;
  Field Document::* reads;
  bool (*holds)(const Document&);
};

const Condition kConditions[] = {
    {"$.n % 3 = 0", nullptr, [](const Document& document) { return document.number % 3 == 0; }},
    {"$.amount > 0", &Document::amount,
     [](const Document& document) {
       const auto* amount = integer_of(document.amount.value);
       return amount != nullptr && *amount > 0;
     }},
    {"$.amount is not null", &Document::amount,
     [](const Document& document) { return !is_null(document.amount.value); }},
    {"$.text <> ''", &Document::text,
     [](const Document& document) {
       const auto* text = std::get_if<std::string>(&document.text.value);
       return text != nullptr && !text->empty();
     }},
    {"$.n % 2 = 0 or $.amount is null", &Document::amount,
     [](const Document& document) {
       return document.number % 2 == 0 || is_null(document.amount.value);
     }},
    {"$.\"größe\" > 1", &Document::size,
     [](const Document& document) {
       const auto* size = std::get_if<double>(&document.size.value);
       return size != nullptr && *size > 1;
     }},
    {"coalesce($.amount, 5) between 0 and 9", &Document::amount,
     [](const Document& document) {
       const auto* amount = integer_of(document.amount.value);
       return amount == nullptr ? is_null(document.amount.value) : *amount >= 0 && *amount <= 9;
     }},
    {"$.text in ('ab', 'a,b', 'größe') or not $.n % 2 = 0", &Document::text,
     [](const Document& document) {
       const auto* text = std::get_if<std::string>(&document.text.value);
       return (text != nullptr && (*text == "ab" || *text == "a,b" || *text == "größe")) ||
              document.number % 2 != 0;
     }},
};

struct Column {
  std::string_view yaml;
  StoredValue (*value)(const Document&);
};

const Column kColumns[] = {
    {"amount: { value: $.amount, type: integer }",
     [](const Document& document) { return document.amount.value; }},
    {"text: $.text", [](const Document& document) { return document.text.value; }},
    {"key_text: $.key",
     [](const Document& document) { return as_text_column(document.key.value); }},
    {"size: { value: \"$.\\\"größe\\\"\", type: real }",
     [](const Document& document) { return as_real_column(document.size.value); }},
    {"price: { value: \"$.\\\"größe\\\"\", type: decimal }",
     [](const Document& document) {
       // Beyond doubles, it is no size that others hold.
       return document.doubtful == &Document::size ? kAnyValue
                                                   : as_decimal_column(document.size.value);
     }},
    {"high: { value: \"$.amount > 0\", type: boolean }",
     [](const Document& document) -> StoredValue {
       if (document.amount.value == kNoValue) {
         return kAnyValue;
       }
       const auto* amount = integer_of(document.amount.value);
       return amount == nullptr ? StoredValue() : StoredValue(std::int64_t{*amount > 0});
     }},
    {"odd: { value: $.n % 2, type: integer }",
     [](const Document& document) -> StoredValue { return document.number % 2; }},
    {"joined: \"$.text || '/' || $.n\"",
     [](const Document& document) -> StoredValue {
       const auto* text = std::get_if<std::string>(&document.text.value);
       return text == nullptr ? StoredValue()
                              : StoredValue(fmt::format("{}/{}", *text, document.number));
     }},
};

/// What `set` does to a document before its columns are read.
struct Change {
  std::string_view yaml;
  void (*apply)(Document&);
};

const Change kChanges[] = {
    {"$.amount: \"$.n * 2\"",
     [](Document& document) { document.amount.value = document.number * 2; }},
    {"$.text: \"$.text || '!'\"",
     [](Document& document) {
       if (auto* text = std::get_if<std::string>(&document.text.value)) {
         *text += '!';
       }
     }},
    {"$.amount: $.n, $.text: \"'ü'\"",
     [](Document& document) {
       document.amount.value = document.number;
       document.text.value = std::string("ü");
     }},
};

struct KeyShape {
  std::string_view yaml;
  /// Another key, whose groups are others.
  std::string_view changed_yaml;
  std::size_t width;
  Row (*columns)(const Document&);
};

const KeyShape kKeys[] = {
    {"$.key", "\"$.key || ''\"", 1,
     [](const Document& document) -> Row { return {as_text_column(document.key.value)}; }},
    {"{ key: cast($.key as text), odd: cast($.n % 2 as text) }",
     "{ key: cast($.key as text), odd: cast($.n % 3 as text) }", 2,
     [](const Document& document) -> Row {
       return {as_text_column(document.key.value), fmt::format("{}", document.number % 2)};
     }},
    {"\"$.key || '/x'\"", "\"$.key || '/y'\"", 1,
     [](const Document& document) -> Row {
       return {std::get<std::string>(as_text_column(document.key.value)) + "/x"};
     }},
};

struct Aggregate {
  std::string_view yaml;
  /// The same column by another function or argument.
  std::string_view changed_yaml;
  StoredValue (*fold)(const Group&);
};

StoredValue extreme(const Group& group, Field Document::* field, bool is_least) {
  StoredValue found;
  for (const Document* document : group) {
    const StoredValue& value = (document->*field).value;
    if (document->doubtful == field) {
      return kAnyValue;
    }
    if (!is_null(value) && (is_null(found) || (is_least ? value < found : value > found))) {
      found = value;
    }
  }
  return found;
}

const Aggregate kAggregates[] = {
    {"filled: count($.amount)", "filled: count($.text)",
     [](const Group& group) -> StoredValue {
       return static_cast<std::int64_t>(std::ranges::count_if(
           group, [](const Document* document) { return !is_null(document->amount.value); }));
     }},
    {"total: { value: sum($.amount), type: integer }",
     "total: { value: sum($.amount * 2), type: integer }",
     [](const Group& group) -> StoredValue {
       std::optional<std::int64_t> sum;
       for (const Document* document : group) {
         if (const auto* amount = integer_of(document->amount.value)) {
           sum = sum.value_or(0) + *amount;
         } else if (document->amount.value == kNoValue) {
           return kNoValue;
         }
       }
       return sum ? StoredValue(*sum) : StoredValue();
     }},
    // A mean takes no integer that no double is.
    {"mean: avg(case when $.amount between -2147483648 and 2147483647 then $.amount end)",
     "mean: avg($.n)",
     [](const Group& group) -> StoredValue {
       std::int64_t sum = 0;
       std::int64_t count = 0;
       for (const Document* document : group) {
         if (document->doubtful == &Document::amount) {
           return kAnyValue;
         }
         const auto* amount = integer_of(document->amount.value);
         if (amount != nullptr && *amount >= -2147483648 && *amount <= 2147483647) {
           sum += *amount;
           ++count;
         }
       }
       return count == 0 ? StoredValue()
                         : StoredValue(static_cast<double>(sum) / static_cast<double>(count));
     }},
    {"exact: { value: \"sum($.\\\"größe\\\")\", type: decimal }",
     "exact: { value: sum($.amount), type: decimal }",
     [](const Group& group) -> StoredValue {
       std::optional<Eighths> sum;
       for (const Document* document : group) {
         if (document->doubtful == &Document::size) {
           return kAnyValue;
         }
         if (const auto* size = std::get_if<double>(&document->size.value)) {
           sum = sum.value_or(Eighths());
           sum->add(*size);
         }
       }
       return sum ? StoredValue(sum->sum()) : StoredValue();
     }},
    {"low: { value: min($.amount), type: integer }", "low: { value: max($.amount), type: integer }",
     [](const Group& group) { return extreme(group, &Document::amount, true); }},
    {"high: { value: max($.amount), type: integer }",
     "high: { value: min($.amount), type: integer }",
     [](const Group& group) { return extreme(group, &Document::amount, false); }},
    {"widest: \"max($.\\\"größe\\\")\"", "widest: \"min($.\\\"größe\\\")\"",
     [](const Group& group) { return extreme(group, &Document::size, false); }},
    {"first: { value: min($.text), type: text }", "first: { value: max($.text), type: text }",
     [](const Group& group) { return extreme(group, &Document::text, true); }},
};

constexpr std::string_view kIntervals[] = {"", "commit.interval.ms: 20\n",
                                           "commit.interval.ms: 1000\n"};
/// Longer than the transactions of a worker would last by themselves.
constexpr std::string_view kLongInterval = "commit.interval.ms: 15000\n";

template <typename T, std::size_t kCount>
const T& one_of(const T (&all)[kCount], SimRandom& random) {
  return all[random.below(kCount)];
}

/// Some of them, in their order; each once.
template <typename T, std::size_t kCount>
std::vector<const T*> some_of(const T (&all)[kCount], SimRandom& random) {
  std::vector<const T*> drawn;
  for (const T& candidate : all) {
    if (random.coin()) {
      drawn.push_back(&candidate);
    }
  }
  return drawn;
}

bool is_right(const Row& row, const Row& wanted) {
  return std::ranges::equal(row, wanted, [](const StoredValue& value, const StoredValue& right) {
    return right == kAnyValue || value == right;
  });
}

std::string show(const Row& row) {
  std::vector<std::string> texts;
  texts.reserve(row.size());
  for (const StoredValue& value : row) {
    texts.push_back(std::visit(
        [](const auto& held) -> std::string {
          if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>) {
            return "null";
          } else if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::string>) {
            return fmt::format("{:?}", held);
          } else if constexpr (std::is_same_v<std::decay_t<decltype(held)>, StoredDecimal>) {
            return held.digits;
          } else {
            return fmt::format("{}", held);
          }
        },
        value));
  }
  return fmt::format("({})", fmt::join(texts, ", "));
}

std::string head(std::string_view name, SimRandom& random, bool begins_at_latest) {
  const bool is_slow = random.below(8) == 0;
  return fmt::format("name: {}\n{}source: {{ kafka: {{ topics: [numbers], group.id: {}{} }} }}\n",
                     name, is_slow ? kLongInterval : one_of(kIntervals, random), name,
                     begins_at_latest ? ", auto.offset.reset: latest" : "");
}

}  // namespace

DrawnPipeline::Steps DrawnPipeline::draw_steps(SimRandom& random, std::uint64_t where_out_of_12,
                                               std::uint64_t set_out_of_12) {
  Steps steps;
  if (random.below(12) < where_out_of_12) {
    const Condition& condition = one_of(kConditions, random);
    steps.yaml += fmt::format("  - id: only\n    where: {:?}\n", condition.sql);
    steps.keeps = condition.holds;
    steps.decides_by = condition.reads;
  }
  if (random.below(12) < set_out_of_12) {
    const Change& change = one_of(kChanges, random);
    steps.yaml += fmt::format("  - id: change\n    set: {{ {} }}\n", change.yaml);
    steps.change = change.apply;
  }
  return steps;
}

DrawnPipeline DrawnPipeline::rows(SimRandom& random) {
  DrawnPipeline drawn;
  drawn.name_ = "pick";
  drawn.table_ = "picked";
  drawn.begins_at_latest_ = random.below(4) == 0;
  drawn.keeps_last_of_key_ = !drawn.begins_at_latest_ && random.below(3) == 0;
  drawn.steps_ = draw_steps(random, 9, 4);
  drawn.next_steps_ = draw_steps(random, 9, 4);
  std::vector<const Column*> columns = some_of(kColumns, random);
  const bool is_upsert = drawn.keeps_last_of_key_;
  drawn.takes_tombstones_ = is_upsert && random.coin();
  std::string yaml = drawn.takes_tombstones_ ? "id: key, "
                     : is_upsert             ? "id: cast($.key as text), "
                                             : "";
  yaml += "n: { value: $.n, type: integer }";
  for (const Column* column : columns) {
    yaml += fmt::format(", {}", column->yaml);
  }
  drawn.row_of_ = [columns, is_upsert,
                   is_by_record_key = drawn.takes_tombstones_](const Document& document) {
    Row row;
    if (is_upsert) {
      row.push_back(is_by_record_key ? StoredValue(document.key.json)
                                     : as_text_column(document.key.value));
    }
    row.emplace_back(document.number);
    for (const Column* column : columns) {
      row.push_back(column->value(document));
    }
    return row;
  };
  const std::string begin = head(drawn.name_, random, drawn.begins_at_latest_);
  std::string end = "sinks:\n";
  if (!is_upsert && random.below(3) == 0) {
    end += "  - kafka: { topic: picked-ones }\n";
  }
  end +=
      fmt::format("  - sqlite: {{ file: unused, table: picked, mode: {}{}, columns: {{ {} }} }}\n",
                  is_upsert ? "upsert" : "append", is_upsert ? ", key: [id]" : "", yaml);
  const auto file = [&](const Steps& steps) {
    return begin + (steps.yaml.empty() ? "" : "steps:\n" + steps.yaml) + end;
  };
  drawn.file_ = file(drawn.steps_);
  drawn.next_file_ = file(drawn.next_steps_);
  return drawn;
}

DrawnPipeline DrawnPipeline::totals(SimRandom& random, DocumentSource::Tombstones tombstones) {
  DrawnPipeline drawn;
  drawn.name_ = "total";
  drawn.table_ = "totals";
  drawn.is_aggregate_ = true;
  const KeyShape& key = one_of(kKeys, random);
  drawn.identity_width_ = key.width;
  drawn.row_of_ = key.columns;
  drawn.steps_ = draw_steps(random, 4, 2);
  drawn.next_steps_ = draw_steps(random, 4, 6);
  std::vector<const Aggregate*> aggregates = some_of(kAggregates, random);
  drawn.aggregates_.emplace_back(
      [](const Group& group) -> StoredValue { return static_cast<std::int64_t>(group.size()); });
  std::string columns = "seen: count(*)";
  std::string changed_columns = columns;
  const std::size_t changed = random.below(aggregates.size() + 1);
  for (std::size_t index = 0; index < aggregates.size(); ++index) {
    drawn.aggregates_.emplace_back(aggregates[index]->fold);
    columns += fmt::format(", {}", aggregates[index]->yaml);
    changed_columns += fmt::format(
        ", {}", index == changed ? aggregates[index]->changed_yaml : aggregates[index]->yaml);
  }
  std::string begin = head(drawn.name_, random, false) + "steps:\n";
  if (tombstones == DocumentSource::Tombstones::kSome) {
    begin += "  - id: there\n    where: value is not null\n";
  }
  constexpr std::string_view kEnd =
      "sinks:\n"
      "  - kafka: { topic: totals }\n"
      "  - sqlite: { file: unused, table: totals, mode: upsert }\n";
  const auto file = [&](const Steps& steps, std::string_view key_yaml,
                        const std::string& columns_yaml) {
    return fmt::format("{}{}  - id: per-key\n    key: {}\n    aggregate: {{ {} }}\n{}", begin,
                       steps.yaml, key_yaml, columns_yaml, kEnd);
  };
  drawn.file_ = file(drawn.steps_, key.yaml, columns);
  drawn.changed_file_ = file(
      drawn.steps_, changed == aggregates.size() ? key.changed_yaml : key.yaml, changed_columns);
  drawn.next_file_ = file(drawn.next_steps_, key.yaml, columns);
  return drawn;
}

void DrawnPipeline::go_on_with_next_file(std::vector<std::size_t> offsets) {
  has_gone_on_ = true;
  next_from_ = std::move(offsets);
}

pipeline::PlannedPipeline DrawnPipeline::plan(const std::string& file) {
  auto planned =
      pipeline::plan_file("simulated.yaml", file, [](const std::string&) { return std::nullopt; });
  CHECK(planned.has_value());
  return std::move(*planned);
}

// -------------------------------------------------------------------------------------------------
// The model

std::vector<StoredValue> DrawnPipeline::identity_of(const Row& row) const {
  return {row.begin(), row.begin() + static_cast<std::ptrdiff_t>(identity_width_)};
}

// Which record a pipeline that begins at the end began with nobody knows before; but from there on
// it must have all.
std::vector<std::size_t> DrawnPipeline::beginnings(const SimDatabase::Table& table,
                                                   const InputTopic& input) const {
  std::vector<std::size_t> begins = begins_at_;
  begins.resize(input.partitions.size(), 0);
  if (!begins_at_latest_) {
    return begins;
  }
  std::map<StoredValue, int> there;
  for (const SentCommit::Row& row : table.appended) {
    ++there[row.values.front()];
  }
  for (std::size_t index = 0; index < begins.size(); ++index) {
    const InputPartition& partition = input.partitions[index];
    const auto first = std::ranges::find_if(partition.documents, [&](const Document& document) {
      return there.contains(document.number);
    });
    begins[index] = std::min(static_cast<std::size_t>(first - partition.documents.begin()),
                             partition.begins_at_most);
  }
  return begins;
}

const DrawnPipeline::Steps& DrawnPipeline::steps_at(std::size_t partition,
                                                    std::size_t offset) const {
  const std::size_t from = partition < next_from_.size() ? next_from_[partition] : 0;
  return has_gone_on_ && offset >= from ? next_steps_ : steps_;
}

ExpectedRows DrawnPipeline::expected(const InputTopic& input,
                                     const std::vector<std::size_t>& begins) const {
  ExpectedRows rows;
  std::deque<Document> changed;  // what the groups' pointers lead to stays in its place
  std::map<Row, Group> groups;
  for (std::size_t index = 0; index < input.partitions.size(); ++index) {
    const InputPartition& partition = input.partitions[index];
    const std::vector<Document>& documents = partition.documents;
    for (std::size_t offset = begins[index]; offset < documents.size(); ++offset) {
      const Document* document = &documents[offset];
      const Steps& steps = steps_at(index, offset);
      if (partition.is_skipped(offset)) {
        continue;
      }
      // All conditions are on fields, and deletions pass them on their way to a table by key.
      if (document->is_tombstone) {
        if (!is_aggregate_) {
          rows.erase(identity_of(row_of_(*document)));
        }
        continue;
      }
      if (steps.keeps && !steps.keeps(*document)) {
        continue;
      }
      if (steps.change) {
        document = &changed.emplace_back(*document);
        steps.change(changed.back());
      }
      Row row = row_of_(*document);
      if (is_aggregate_) {
        groups[row].push_back(document);
      } else {
        rows[identity_of(row)] = std::move(row);
      }
    }
  }
  for (const auto& [key, group] : groups) {
    Row row = key;
    row.reserve(key.size() + aggregates_.size());
    for (const auto& fold : aggregates_) {
      row.push_back(fold(group));
    }
    rows[key] = std::move(row);
  }
  return rows;
}

std::vector<Finding> DrawnPipeline::judge(const SimDatabase::Image& image,
                                          const InputTopic& input) const {
  const std::string_view promise = is_aggregate_ ? "STG-2" : "STG-1";
  std::vector<Finding> findings;
  const auto report = [&](const std::string& text) {
    findings.push_back({std::string(promise), fmt::format("table {}: {}", table_, text)});
  };
  const auto place = image.find(table_);
  static const SimDatabase::Table empty;
  const SimDatabase::Table& table = place == image.end() ? empty : place->second;
  ExpectedRows missing = expected(input, beginnings(table, input));
  const ExpectedRows wanted = missing;
  const auto look_at = [&](const Row& row) {
    const Row identity = identity_of(row);
    const auto right = wanted.find(identity);
    if (right == wanted.end()) {
      report(fmt::format("the row {} does not belong there", show(row)));
    } else if (!is_right(row, right->second)) {
      report(fmt::format("the row {} should be {}", show(row), show(right->second)));
    } else if (missing.erase(identity) == 0) {
      report(fmt::format("the row {} is there more than once", show(row)));
    }
    missing.erase(identity);
  };
  for (const SentCommit::Row& row : table.appended) {
    look_at(row.values);
  }
  for (const auto& [key, row] : table.by_key) {
    look_at(row.values);
  }
  for (const auto& [identity, row] : missing) {
    report(fmt::format("the row {} is not there", show(row)));
  }
  return findings;
}

}  // namespace onceflow::sim
