#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"
#include "cli/view/progress.h"
#include "common/sha256/sha256.h"

namespace joulefarm::cli {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr auto kRedraw = std::chrono::milliseconds(100);

struct PushOptions {
  std::string file;
  std::string name;
};

// "reading  61 %  12.3 of 22.1 MB", redrawn on a terminal, nothing elsewhere.
class Meter {
 public:
  Meter(Console& console, std::string verb, std::int64_t total)
      : console_(console), verb_(std::move(verb)), total_(total), display_(console.err) {}

  void At(std::int64_t bytes) {
    if (!console_.err_is_terminal || total_ == 0) return;
    const auto now = console_.now();
    if (now - drawn_ < kRedraw) return;
    drawn_ = now;
    display_.Show({Clip(absl::StrCat(verb_, "  ", bytes * 100 / total_, " %  ", HumanBytes(bytes),
                                     " of ", HumanBytes(total_)),
                        std::max(20, console_.LookOfErr().width))});
  }

 private:
  Console& console_;
  std::string verb_;
  std::int64_t total_;
  LiveDisplay display_;
  std::chrono::steady_clock::time_point drawn_;
};

// A file read in pieces, with errors that name it.
class FileReader {
 public:
  static absl::StatusOr<FileReader> Open(const std::string& path) {
    std::error_code error;
    const auto kind = std::filesystem::status(path, error);
    if (error || !std::filesystem::exists(kind)) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read ", path, ": ", error ? error.message() : "no such file"));
    }
    if (!std::filesystem::is_regular_file(kind)) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot push ", path, ": it is no regular file"));
    }
    FileReader reader;
    reader.path_ = path;
    reader.size_ = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
    errno = 0;
    reader.stream_.open(path, std::ios::binary);
    if (!reader.stream_) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
    }
    return reader;
  }

  std::int64_t size() const { return size_; }

  absl::StatusOr<std::string> Next() {
    std::string piece(kPieceBytes, '\0');
    stream_.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (stream_.bad()) {
      return absl::UnknownError(absl::StrCat("reading ", path_, " failed: ", std::strerror(errno)));
    }
    piece.resize(static_cast<std::size_t>(stream_.gcount()));
    return piece;
  }

 private:
  std::string path_;
  std::int64_t size_ = 0;
  std::ifstream stream_;
};

absl::StatusOr<v1::PushArtifactHeader> Describe(Console& console, const PushOptions& options) {
  auto file = FileReader::Open(options.file);
  if (!file.ok()) return file.status();
  Meter meter(console, "hashing", file->size());
  Sha256 sha;
  std::int64_t bytes = 0;
  for (;;) {
    const auto piece = file->Next();
    if (!piece.ok()) return piece.status();
    if (piece->empty()) break;
    sha.Update(*piece);
    bytes += static_cast<std::int64_t>(piece->size());
    meter.At(bytes);
  }
  v1::PushArtifactHeader header;
  header.set_name(options.name.empty() ? std::filesystem::path(options.file).stem().string()
                                       : options.name);
  header.set_sha256(sha.HexDigest());
  header.set_size_bytes(bytes);
  return header;
}

absl::StatusOr<v1::PushArtifactResponse> Send(Console& console, FarmClient& client,
                                              const std::string& path,
                                              const v1::PushArtifactHeader& header) {
  auto file = FileReader::Open(path);
  if (!file.ok()) return file.status();
  Meter meter(console, "pushing", header.size_bytes());
  std::int64_t bytes = 0;
  return client.PushArtifact(header, [&]() -> absl::StatusOr<std::string> {
    auto piece = file->Next();
    if (piece.ok()) bytes += static_cast<std::int64_t>(piece->size());
    meter.At(bytes);
    return piece;
  });
}

absl::StatusOr<v1::PushArtifactResponse> Push(Console& console, FarmClient& client,
                                              const PushOptions& options) {
  const auto header = Describe(console, options);
  if (!header.ok()) return header.status();
  v1::StatArtifactRequest stat;
  stat.set_sha256(header->sha256());
  const auto known = client.StatArtifact(stat);
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  if (known.ok()) {
    // The content lies there: the header alone gives it this name. A server that has lost it
    // meanwhile asks for all of it.
    auto named = client.PushArtifact(*header, [] { return std::string(); });
    if (named.ok() || !absl::IsDataLoss(named.status())) return named;
  }
  auto response = Send(console, client, options.file, *header);
  if (absl::IsDataLoss(response.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("what arrived is not what was hashed: ", options.file,
                     " changed while it was pushed, or the connection is broken; push it again (",
                     absl::string_view(response.status().message()), ")"));
  }
  return response;
}

int RunPush(Session& session, const PushOptions& options) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  Console& console = session.console();
  const auto response = Push(console, **client, options);
  if (!response.ok()) return session.Fail(response.status());
  console.out << OneLine(response->name()) << "  " << response->sha256() << "  "
              << HumanBytes(response->size_bytes())
              << (response->existing() ? "  (was there already)" : "") << '\n';
  return kExitOk;
}

}  // namespace

Listing ArtifactListing() {
  return {v1::LISTING_ARTIFACTS, "artifacts", [](const Table&) { return ArtifactView(); }};
}

void AddArtifact(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "artifact", "Models and other files that jobs use, by content",
                             "  joulefarm artifact push models/tiny-q8_0.gguf\n"
                             "  joulefarm artifact list");
  group->group("Running experiments");

  auto push_options = std::make_shared<PushOptions>();
  CLI::App* push = AddCommand(*group, "push", "Store a file with the controller under a name",
                              "  joulefarm artifact push models/tiny-q8_0.gguf\n"
                              "  joulefarm artifact push prompts.jsonl --name chat-prompts",
                              "Content that is there already is not sent again. A name pushed "
                              "again means the new content, for\n"
                              "experiments submitted from then on.");
  push->add_option("FILE", push_options->file, "the file")->required();
  push->add_option("--name", push_options->name,
                   "how experiments name it; default: the file's name without its extension")
      ->type_name("NAME");
  push->callback([=, &session] {
    session.action = [=, &session] { return RunPush(session, *push_options); };
  });

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list =
      AddCommand(*group, "list", "List artifacts: name, size, format, quantisation, content",
                 "  joulefarm artifact list -o name");
  AddListingOptions(*list, *options);
  list->add_option("--name", options->named["name"], "of this name")->type_name("NAME");
  list->callback([options, &session] {
    session.action = [options, &session] {
      return RunListing(session, ArtifactListing(), *options);
    };
  });
}

}  // namespace joulefarm::cli
