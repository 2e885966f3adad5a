#include "cli/sql/prompt.h"

#include <istream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/output/text.h"
#include "cli/sql/statements.h"
#include "cli/view/listing_view.h"

namespace joulefarm::cli {
namespace {

int FailQuery(Session& session, const absl::Status& status) {
  if (absl::IsResourceExhausted(status) || absl::IsDeadlineExceeded(status)) {
    return session.FailUsage(absl::StrCat(
        absl::string_view(status.message()),
        "\nAsk for less (LIMIT, WHERE), or open a copy of the database with --db FILE."));
  }
  return session.Fail(status);
}

int RunOne(Session& session, const RunStatement& run, const std::string& statement, Format format) {
  Console& console = session.console();
  if (const auto printer = MakeMachinePrinter(format, console.out)) {
    const absl::Status status = run(statement, *printer);
    return status.ok() ? kExitOk : FailQuery(session, status);
  }
  TableCollector collector;
  const absl::Status status = run(statement, collector);
  if (!status.ok()) return FailQuery(session, status);
  const Table& table = collector.table();
  if (table.columns.empty()) return kExitOk;
  Look look = console.LookOfOut();
  if (format == Format::kWide) {
    const auto printer = MakeWidePrinter(console.out, look);
    printer->Begin(table.columns);
    for (const RowValues& row : table.rows) printer->Row(row);
    printer->End();
  } else {
    RenderRaw(table, look, console.out);
  }
  if (table.rows.empty()) console.err << "No rows." << std::endl;
  return kExitOk;
}

constexpr char kHelp[] =
    "Type SQL and end it with ; (read-only). The views to begin with: result, result_summary.\n"
    "  .tables         tables and views\n"
    "  .schema [NAME]  how they are declared\n"
    "  .quit           leave (Ctrl-D as well)\n";

// The SQL behind a dot command; empty for one that is not known.
std::string DotQuery(absl::string_view line) {
  const std::string command(line.substr(0, line.find(' ')));
  const std::string argument(
      absl::StripAsciiWhitespace(line.substr(std::min(command.size(), line.size()))));
  const std::string named =
      argument.empty()
          ? ""
          : absl::StrCat(" and name = '", absl::StrReplaceAll(argument, {{"'", "''"}}), "'");
  if (command == ".tables") {
    return "select name, type from sqlite_schema where type in ('table', 'view') and name not like "
           "'sqlite_%' "
           "order by type desc, name;";
  }
  if (command == ".schema") {
    return absl::StrCat("select name, sql from sqlite_schema where sql is not null", named,
                        " order by name;");
  }
  return "";
}

enum class Line { kTaken, kLeave, kSql };

// Commands that are no SQL, understood only where no statement has begun.
Line TakeCommand(Session& session, const RunStatement& run, const std::string& line,
                 Format format) {
  const std::string word(absl::StripAsciiWhitespace(line));
  if (word == ".quit" || word == ".exit" || word == "quit" || word == "exit") return Line::kLeave;
  if (word.empty()) return Line::kTaken;
  if (word.front() != '.') return Line::kSql;
  const std::string query = DotQuery(word);
  if (query.empty()) {
    session.console().out << kHelp;
  } else if (absl::StartsWith(word, ".schema") && format == Format::kTable) {
    // Declarations keep their lines.
    TableCollector collector;
    const absl::Status status = run(query, collector);
    if (!status.ok()) FailQuery(session, status);
    for (const RowValues& row : collector.table().rows) {
      session.console().out << CleanLines(PlainText(row[1])) << ";\n";
    }
  } else {
    RunOne(session, run, query, format);
  }
  return Line::kTaken;
}

int RunTyped(Session& session, const RunStatement& run, Format format, const std::string& where) {
  Console& console = session.console();
  console.out << where
              << ", read-only. End statements with ; and leave with .quit; .help says more.\n";
  StatementReader reader;
  std::string line;
  for (;;) {
    console.out << (reader.Pending() ? "  ...> " : "sql> ") << std::flush;
    if (!std::getline(console.in, line)) break;
    if (!reader.Pending()) {
      const Line taken = TakeCommand(session, run, line, format);
      if (taken == Line::kLeave) return kExitOk;
      if (taken == Line::kTaken) continue;
    }
    reader.Add(line + "\n");
    while (const auto statement = reader.Next()) RunOne(session, run, *statement, format);
  }
  console.out << '\n';
  return kExitOk;
}

}  // namespace

int RunStatements(Session& session, const RunStatement& run, const std::string& text,
                  Format format) {
  StatementReader reader;
  reader.Add(text);
  const auto next = [&] {
    auto statement = reader.Next();
    return statement ? statement : reader.Rest();
  };
  bool any = false;
  while (const auto statement = next()) {
    any = true;
    if (const int exit = RunOne(session, run, *statement, format); exit != kExitOk) return exit;
  }
  return any ? kExitOk : session.FailUsage("there is no SQL statement in the query");
}

int RunPrompt(Session& session, const RunStatement& run, Format format, const std::string& where) {
  Console& console = session.console();
  if (console.in_is_terminal) return RunTyped(session, run, format, where);
  StatementReader reader;
  std::string line;
  while (std::getline(console.in, line)) {
    reader.Add(line + "\n");
    while (const auto statement = reader.Next()) {
      if (const int exit = RunOne(session, run, *statement, format); exit != kExitOk) return exit;
    }
  }
  const auto rest = reader.Rest();
  return rest ? RunOne(session, run, *rest, format) : kExitOk;
}

}  // namespace joulefarm::cli
