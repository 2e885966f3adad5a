#include "cli/listing.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/output/json.h"

namespace joulefarm::cli {
namespace {

// Replays a table into a printer.
void Print(const Table& table, TableSink& sink) {
  sink.Begin(table.columns);
  for (const RowValues& row : table.rows) sink.Row(row);
  sink.End();
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> MergedFilters(const ListingOptions& options) {
  std::map<std::string, std::string> merged;
  for (const auto& [column, value] : options.named) {
    if (!value.empty()) merged[column] = value;
  }
  for (const std::string& filter : options.filters) {
    const std::size_t equals = filter.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--filter ", filter, ": write KEY=VALUE, such as --filter state=FAILED"));
    }
    const std::string key = filter.substr(0, equals);
    const std::string value = filter.substr(equals + 1);
    const auto [found, added] = merged.emplace(key, value);
    if (!added && found->second != value) {
      return absl::InvalidArgumentError(absl::StrCat("--filter ", filter, ": ", key,
                                                     " is already asked to be ", found->second,
                                                     "; a listing takes one value per key"));
    }
  }
  return merged;
}

int RunListing(Session& session, const Listing& listing, const ListingOptions& options) {
  const auto filters = MergedFilters(options);
  if (!filters.ok()) return session.Fail(filters.status());
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  v1::ListRequest request;
  request.set_listing(listing.kind);
  request.set_limit(options.limit);
  for (const auto& [key, value] : *filters) (*request.mutable_filters())[key] = value;

  Console& console = session.console();
  const Format format = ParseFormat(options.format).value_or(Format::kTable);
  if (const auto printer = MakeMachinePrinter(format, console.out)) {
    const absl::Status status = (*client)->List(request, *printer);
    return status.ok() ? kExitOk : session.Fail(status);
  }
  TableCollector collector;
  const absl::Status status = (*client)->List(request, collector);
  if (!status.ok()) return session.Fail(status);
  const Table& table = collector.table();
  if (table.rows.empty()) {
    console.err << "No " << listing.plural << (filters->empty() ? " yet." : " match.") << std::endl;
    return kExitOk;
  }
  if (format == Format::kWide) {
    Print(table, *MakeWidePrinter(console.out, console.LookOfOut()));
  } else {
    RenderView(listing.view(table), table, console.LookOfOut(), console.out);
  }
  return kExitOk;
}

int RunGet(Session& session, const Listing& listing, const std::string& id,
           const std::string& format) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  v1::ListRequest request;
  request.set_listing(listing.kind);
  request.set_id(id);
  TableCollector collector;
  const absl::Status status = (*client)->List(request, collector);
  if (!status.ok()) return session.Fail(status);
  Table& table = collector.table();
  if (table.rows.empty()) {
    return session.Fail(absl::NotFoundError(
        absl::StrCat("there is none of that id among the ", listing.plural, ": ", id)));
  }
  table.rows.resize(1);  // several may share a name; the newest comes first
  ShowObjects(session, table, "", format);
  return kExitOk;
}

void ShowObjects(Session& session, const Table& table, const std::string& head,
                 const std::string& format) {
  Console& console = session.console();
  const Format parsed = ParseFormat(format).value_or(Format::kTable);
  const bool single = table.rows.size() == 1;
  if (parsed == Format::kJson && single) {
    console.out << JsonObjectLines(table.columns, table.rows.front());
  } else if (const auto printer = MakeMachinePrinter(parsed, console.out)) {
    Print(table, *printer);
  } else if (single) {
    RenderRecord(table.columns, table.rows.front(), console.LookOfOut(), console.out);
  } else {
    Look look = console.LookOfOut();
    if (parsed == Format::kWide) look.width = 0;
    RenderSideBySide(table, head, look, console.out);
  }
}

}  // namespace joulefarm::cli
