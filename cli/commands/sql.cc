#include <CLI/App.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/sql/local_database.h"
#include "cli/sql/prompt.h"

namespace joulefarm::cli {
namespace {

struct SqlOptions {
  std::string query;
  std::string database;
  std::string format = "table";
};

int RunOrPrompt(Session& session, const SqlOptions& options, const RunStatement& run,
                const std::string& where) {
  const Format format = ParseFormat(options.format).value_or(Format::kTable);
  if (options.query.empty()) return RunPrompt(session, run, format, where);
  return RunStatements(session, run, options.query, format);
}

int RunSql(Session& session, const SqlOptions& options) {
  if (!options.database.empty()) {
    auto database = LocalDatabase::Open(options.database);
    if (!database.ok()) return session.Fail(database.status());
    return RunOrPrompt(
        session, options,
        [&](const std::string& statement, TableSink& sink) {
          return (*database)->Run(statement, sink);
        },
        options.database);
  }
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  return RunOrPrompt(
      session, options,
      [&](const std::string& statement, TableSink& sink) {
        return (*client)->Sql(statement, sink);
      },
      absl::StrCat("The controller at ", (*client)->address()));
}

}  // namespace

void AddSql(CLI::App& app, Session& session) {
  auto options = std::make_shared<SqlOptions>();
  CLI::App* command = AddCommand(
      app, "sql", "Query the results database, read-only",
      "  joulefarm sql \"select model, otps, energy_j, energy_est_j, provenance from result\"\n"
      "  joulefarm sql -o csv \"select * from result_summary\" > summary.csv\n"
      "  joulefarm sql --db ~/.local/state/joulefarm/controller/joulefarm.db\n"
      "  echo \"select count(*) from run;\" | joulefarm sql",
      "Asks the controller, which limits time and rows, or with --db a file. Without QUERY: a "
      "prompt, or statements\n"
      "from a pipe. The views to begin with are result and result_summary; docs/schema.md names "
      "every column and unit.");
  command->group("Results");
  command->add_option("QUERY", options->query, "SQL; several statements are separated by ;");
  command
      ->add_option("--db", options->database, "a results database file instead of the controller")
      ->type_name("FILE");
  AddFormat(*command, options->format);
  command->callback(
      [=, &session] { session.action = [=, &session] { return RunSql(session, *options); }; });
}

}  // namespace joulefarm::cli
