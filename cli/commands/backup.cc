#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"
#include "controller/store/reader.h"

namespace joulefarm::cli {
namespace {

struct BackupOptions {
  std::string file;
  bool force = false;
};

absl::Status Failed(const std::string& doing, const std::string& path) {
  const int error = errno;
  const std::string text = absl::StrCat("cannot ", doing, " ", path, ": ", std::strerror(error),
                                        error == ENOSPC || error == EDQUOT
                                            ? ": make room there or name a file on another disk"
                                            : ": name a file in a directory you may write to");
  return error == ENOSPC || error == EDQUOT ? absl::ResourceExhaustedError(text)
                                            : absl::InvalidArgumentError(text);
}

// A file that appears under its name only when it is complete and on disk. What is unfinished is
// removed.
class PartFile {
 public:
  static absl::StatusOr<std::unique_ptr<PartFile>> Create(const std::string& file) {
    const std::string path = file + ".part";
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) return Failed("create", path);
    return std::unique_ptr<PartFile>(new PartFile(file, path, fd));
  }
  ~PartFile() {
    if (fd_ >= 0) close(fd_);
    if (!kept_) unlink(path_.c_str());
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::string& path() const { return path_; }
  std::int64_t size() const { return size_; }

  absl::Status Write(const std::string& piece) {
    std::size_t done = 0;
    while (done < piece.size()) {
      const ssize_t written = write(fd_, piece.data() + done, piece.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Failed("write", path_);
      done += static_cast<std::size_t>(written);
    }
    size_ += static_cast<std::int64_t>(piece.size());
    return absl::OkStatus();
  }

  absl::Status Sync() {
    if (fsync(fd_) != 0) return Failed("write", path_);
    return absl::OkStatus();
  }

  // Under its name from now on. ALREADY_EXISTS unless it may replace what is there.
  absl::Status Keep(bool replace) {
    if (replace) {
      if (rename(path_.c_str(), file_.c_str()) != 0) return Failed("create", file_);
      kept_ = true;
    } else if (link(path_.c_str(), file_.c_str()) != 0) {  // unlike rename, never over another file
      if (errno == EEXIST) return absl::AlreadyExistsError(absl::StrCat(file_, " exists by now"));
      // A file system without links: the first look has to be enough.
      if (rename(path_.c_str(), file_.c_str()) != 0) return Failed("create", file_);
      kept_ = true;
    }
    std::filesystem::path parent = std::filesystem::path(file_).parent_path();
    if (parent.empty()) parent = ".";
    const int directory = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
      fsync(directory);
      close(directory);
    }
    return absl::OkStatus();
  }

 private:
  PartFile(std::string file, std::string path, int fd)
      : file_(std::move(file)), path_(std::move(path)), fd_(fd) {}

  const std::string file_;
  const std::string path_;
  int fd_;
  std::int64_t size_ = 0;
  bool kept_ = false;  // path_ is gone or somebody else's
};

int RunBackup(Session& session, const BackupOptions& options) {
  struct stat there {};
  if (!options.force && lstat(options.file.c_str(), &there) == 0) {
    return session.FailUsage(
        absl::StrCat(options.file, " exists: name another file, or replace it with --force"));
  }
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  Console& console = session.console();
  console.catch_interrupt();
  auto part = PartFile::Create(options.file);
  if (!part.ok()) return session.FailUsage(absl::string_view(part.status().message()));
  absl::Status local;
  const absl::Status copied = (*client)->Backup([&](const std::string& piece) {
    local = (*part)->Write(piece);
    return local;
  });
  if (local.ok() && copied.ok()) local = (*part)->Sync();
  if (!local.ok()) {
    console.err << "error: " << CleanLines(absl::string_view(local.message())) << std::endl;
    return kExitInfra;
  }
  if (!copied.ok()) return session.Fail(copied);
  const absl::Status sound = controller::CheckDatabaseFile((*part)->path());
  if (!sound.ok()) {
    console.err << "error: the copy is not sound and was thrown away: "
                << CleanLines(absl::string_view(sound.message()))
                << "\nTry again; if it stays so, look at the original with joulefarm doctor."
                << std::endl;
    return kExitInfra;
  }
  const absl::Status kept = (*part)->Keep(options.force);
  if (!kept.ok()) return session.FailUsage(absl::string_view(kept.message()));
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
