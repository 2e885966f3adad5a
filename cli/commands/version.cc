#include <CLI/App.hpp>

#include "cli/commands/commands.h"

namespace joulefarm::cli {
namespace {

int RunVersion(Session& session, const std::string& format) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  const auto server = (*client)->GetVersion();
  Table table;
  table.columns = {{"version"},
                   {"controller"},
                   {"controller_version"},
                   {"schema_version", ColumnKind::kNumber},
                   {"database"}};
  RowValues row{std::string(JOULEFARM_VERSION), (*client)->address(), {}, {}, {}};
  if (server.ok()) {
    row[2] = server->version();
    row[3] = static_cast<std::int64_t>(server->schema_version());
    row[4] = server->database();
  }
  table.rows.push_back(std::move(row));
  ShowObjects(session, table, "", format);
  // The program's own version is an answer even when nobody else gives theirs.
  if (!server.ok()) return session.Fail(server.status());
  return kExitOk;
}

}  // namespace

void AddVersion(CLI::App& app, Session& session) {
  auto format = std::make_shared<std::string>("table");
  CLI::App* command =
      AddCommand(app, "version", "Versions of this program, the controller and its database",
                 "  joulefarm version\n"
                 "  joulefarm version -o json");
  command->group("The farm");
  AddFormat(*command, *format);
  command->callback(
      [=, &session] { session.action = [=, &session] { return RunVersion(session, *format); }; });
}

}  // namespace joulefarm::cli
