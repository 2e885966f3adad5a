#include <CLI/App.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/part_file.h"
#include "cli/output/text.h"
#include "controller/store/reader.h"

namespace joulefarm::cli {
namespace {

struct BackupOptions {
  std::string file;
  bool force = false;
};

int RunBackup(Session& session, const BackupOptions& options) {
  auto part = PartFile::Create(
      options.file, options.force ? PartFile::Existing::kReplace : PartFile::Existing::kKeep, 0640);
  if (absl::IsAlreadyExists(part.status())) {
    return session.FailUsage(
        absl::StrCat(options.file, " exists: name another file, or replace it with --force"));
  }
  if (!part.ok()) return session.FailHere(part.status());
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  Console& console = session.console();
  console.catch_interrupt();
  absl::Status local;
  const absl::Status copied = (*client)->Backup([&](const std::string& piece) {
    local = (*part)->Write(piece);
    return local;
  });
  if (local.ok() && copied.ok()) local = (*part)->Sync();
  if (!local.ok()) return session.FailHere(local);
  if (!copied.ok()) return session.Fail(copied);
  const absl::Status sound = controller::CheckDatabaseFile((*part)->path());
  if (!sound.ok()) {
    console.err << "error: the copy is not sound and was thrown away: "
                << CleanLines(absl::string_view(sound.message()))
                << "\nTry again; if it stays so, look at the original with joulefarm doctor."
                << std::endl;
    return kExitInfra;
  }
  const absl::Status kept = (*part)->Keep();
  if (!kept.ok()) return session.FailHere(kept);
  console.out << OneLine(options.file) << "  " << HumanBytes((*part)->size()) << "  checked\n";
  return kExitOk;
}

}  // namespace

void AddBackup(CLI::App& app, Session& session) {
  auto options = std::make_shared<BackupOptions>();
  CLI::App* command = AddCommand(
      app, "backup", "Copy the results database, while the farm works",
      "  joulefarm backup farm-$(date +%F).db\n"
      "  joulefarm sql --db farm-2026-11-21.db \"select count(*) from run\"",
      "The copy is one moment of the database, complete in one file, and checked before it gets "
      "its name. To go back to it,\n"
      "stop the controller and put it in place of STATE/joulefarm.db (without the files "
      "joulefarm.db-wal and -shm).\n"
      "Models are not in it: they lie in STATE/artifacts.");
  command->group("The farm");
  command->add_option("FILE", options->file, "where the copy goes")->required();
  command->add_flag("--force", options->force, "replace a file that exists");
  command->callback(
      [=, &session] { session.action = [=, &session] { return RunBackup(session, *options); }; });
}

}  // namespace joulefarm::cli
