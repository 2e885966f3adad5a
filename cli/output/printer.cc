#include "cli/output/printer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/json.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

// What every streaming printer shares: the stream, and when to stop.
class StreamPrinter : public TableSink {
 public:
  explicit StreamPrinter(std::ostream& out) : out_(out) {}
  void Begin(const std::vector<Column>& columns) override {
    columns_ = columns;
    keys_ = JsonKeys(columns);
  }
  void End() override {}
  bool WantsMore() const override { return out_.good(); }

 protected:
  std::ostream& out_;
  std::vector<Column> columns_;
  std::vector<std::string> keys_;
};

class JsonPrinter : public StreamPrinter {
 public:
  using StreamPrinter::StreamPrinter;
  void Row(const RowValues& row) override {
    out_ << (any_ ? ",\n  " : "[\n  ") << JsonObject(keys_, columns_, row);
    any_ = true;
  }
  void End() override { out_ << (any_ ? "\n]\n" : "[]\n"); }

 private:
  bool any_ = false;
};

class JsonLinesPrinter : public StreamPrinter {
 public:
  using StreamPrinter::StreamPrinter;
  void Row(const RowValues& row) override { out_ << JsonObject(keys_, columns_, row) << '\n'; }
};

std::string CsvField(absl::string_view text) {
  if (text.find_first_of(",\"\r\n") == absl::string_view::npos && !text.empty()) {
    return std::string(text);
  }
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

class CsvPrinter : public StreamPrinter {
 public:
  using StreamPrinter::StreamPrinter;
  void Begin(const std::vector<Column>& columns) override {
    StreamPrinter::Begin(columns);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      out_ << (i == 0 ? "" : ",") << CsvField(CleanUtf8(columns[i].name));
    }
    out_ << '\n';
  }
  void Row(const RowValues& row) override {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out_ << (i == 0 ? "" : ",");
      if (IsNull(row[i])) continue;
      const auto* number = std::get_if<std::int64_t>(&row[i]);
      if (number != nullptr && columns_[i].kind == ColumnKind::kBoolean) {
        out_ << (*number == 0 ? "false" : "true");
      } else {
        out_ << CsvField(CleanUtf8(PlainText(row[i])));
      }
    }
    out_ << '\n';
  }
};

class NamePrinter : public StreamPrinter {
 public:
  using StreamPrinter::StreamPrinter;
  void Begin(const std::vector<Column>& columns) override {
    for (const char* name : {"id", "job_id"}) {
      const auto found = std::find_if(columns.begin(), columns.end(),
                                      [&](const Column& column) { return column.name == name; });
      if (found == columns.end()) continue;
      index_ = static_cast<std::size_t>(found - columns.begin());
      return;
    }
  }
  void Row(const RowValues& row) override {
    if (index_ < row.size()) out_ << OneLine(PlainText(row[index_])) << '\n';
  }

 private:
  std::size_t index_ = 0;
};

class WidePrinter : public TableSink {
 public:
  WidePrinter(std::ostream& out, const Look& look) : out_(out), look_(look) { look_.width = 0; }
  void Begin(const std::vector<Column>& columns) override {
    for (const Column& column : columns) {
      table_.columns.push_back({OneLine(column.name), Align::kLeft, Fit::kKeep});
    }
    columns_ = columns;
    only_numbers_.assign(columns.size(), true);
    any_number_.assign(columns.size(), false);
  }
  void Row(const RowValues& row) override {
    std::vector<TextCell> cells;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto* number = std::get_if<std::int64_t>(&row[i]);
      const bool truth = number != nullptr && columns_[i].kind == ColumnKind::kBoolean;
      const bool numeric = (number != nullptr && !truth) || std::holds_alternative<double>(row[i]);
      if (numeric) any_number_[i] = true;
      if (!numeric && !IsNull(row[i])) only_numbers_[i] = false;
      const auto* text = std::get_if<std::string>(&row[i]);
      cells.push_back(truth ? CellOf(row[i], ColumnKind::kBoolean)
                      : text != nullptr && columns_[i].kind == ColumnKind::kJson
                          ? TextCell{JsonInBrief(*text)}
                          : FullCellOf(row[i]));
    }
    table_.rows.push_back(std::move(cells));
  }
  void End() override {
    // By what the cells are: the columns of a query have no declared kind.
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (any_number_[i] && only_numbers_[i]) table_.columns[i].align = Align::kRight;
    }
    Render(table_, look_, out_);
  }

 private:
  std::ostream& out_;
  Look look_;
  TextTable table_;
  std::vector<Column> columns_;
  std::vector<bool> only_numbers_;
  std::vector<bool> any_number_;
};

}  // namespace

const std::vector<std::string>& FormatNames() {
  static const std::vector<std::string> kNames{"table", "wide", "json", "jsonl", "csv", "name"};
  return kNames;
}

std::optional<Format> ParseFormat(absl::string_view name) {
  const auto& names = FormatNames();
  const auto found = std::find(names.begin(), names.end(), std::string(name));
  if (found == names.end()) return std::nullopt;
  return static_cast<Format>(found - names.begin());
}

absl::StatusOr<Format> FormatOfFile(const std::string& file, const std::vector<Format>& offered) {
  const std::string ending =
      absl::AsciiStrToLower(std::filesystem::path(file).extension().string());
  // "runs", and also "runs.2026-11-21".
  if (ending.size() < 2 || !absl::ascii_isalpha(static_cast<unsigned char>(ending[1])))
    return Format::kCsv;
  const std::optional<Format> format = ParseFormat(absl::string_view(ending).substr(1));
  if (format && std::find(offered.begin(), offered.end(), *format) != offered.end()) return *format;
  std::vector<std::string> names;
  for (const Format one : offered) names.push_back(FormatNames()[static_cast<std::size_t>(one)]);
  return absl::InvalidArgumentError(absl::StrCat(
      "what is written here is ", absl::StrJoin(names, " or "), ", not ", ending,
      ": name the file so, or say the format with -o ", absl::StrJoin(names, " or -o ")));
}

std::unique_ptr<TableSink> MakeJsonPrinter(std::ostream& out) {
  return std::make_unique<JsonPrinter>(out);
}
std::unique_ptr<TableSink> MakeJsonLinesPrinter(std::ostream& out) {
  return std::make_unique<JsonLinesPrinter>(out);
}
std::unique_ptr<TableSink> MakeCsvPrinter(std::ostream& out) {
  return std::make_unique<CsvPrinter>(out);
}
std::unique_ptr<TableSink> MakeNamePrinter(std::ostream& out) {
  return std::make_unique<NamePrinter>(out);
}
std::unique_ptr<TableSink> MakeWidePrinter(std::ostream& out, const Look& look) {
  return std::make_unique<WidePrinter>(out, look);
}

std::unique_ptr<TableSink> MakeMachinePrinter(Format format, std::ostream& out) {
  switch (format) {
    case Format::kJson:
      return MakeJsonPrinter(out);
    case Format::kJsonLines:
      return MakeJsonLinesPrinter(out);
    case Format::kCsv:
      return MakeCsvPrinter(out);
    case Format::kName:
      return MakeNamePrinter(out);
    case Format::kTable:
    case Format::kWide:
      break;
  }
  return nullptr;
}

}  // namespace joulefarm::cli
