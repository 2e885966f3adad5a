#include "cli/commands/artifact_push.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/transfer_meter.h"
#include "cli/exit_code.h"
#include "cli/output/text.h"
#include "common/gguf/model_claim.h"
#include "common/sha256/sha256.h"

namespace joulefarm::cli {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} * 1024;
constexpr int kTriesWithoutProgress = 30;
constexpr auto kBetweenTries = std::chrono::seconds(1);

// A file read in pieces, with errors that name it.
class FileReader {
 public:
  static absl::StatusOr<FileReader> Open(const std::string& path, std::int64_t offset) {
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
    if (reader.stream_) reader.stream_.seekg(offset);
    if (!reader.stream_) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
    }
    return reader;
  }

  std::int64_t size() const { return size_; }

  // Empty at the end.
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

absl::StatusOr<v1::PushArtifactHeader> Hash(Console& console, const PushOptions& options) {
  auto file = FileReader::Open(options.file, 0);
  if (!file.ok()) return file.status();
  TransferMeter meter(console, "hashing", file->size());
  Sha256 sha;
  std::int64_t bytes = 0;
  for (;;) {
    const auto piece = file->Next();
    if (!piece.ok()) return piece.status();
    if (piece->empty()) break;
    if (console.interrupted()) return absl::CancelledError("interrupted");
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
  auto file = FileReader::Open(path, header.offset());
  if (!file.ok()) return file.status();
  TransferMeter meter(console, "pushing", header.size_bytes(), header.offset());
  std::int64_t bytes = header.offset();
  return client.PushArtifact(header, [&]() -> absl::StatusOr<std::string> {
    auto piece = file->Next();
    if (piece.ok()) bytes += static_cast<std::int64_t>(piece->size());
    meter.At(bytes);
    return piece;
  });
}

struct Try {
  absl::StatusOr<v1::PushArtifactResponse> response;
  bool reached = true;       // the controller answered at all
  std::int64_t resumed = 0;  // where the push went on
};

// One push from wherever the controller has got to.
Try PushOnce(Console& console, FarmClient& client, const std::string& path,
             v1::PushArtifactHeader header) {
  v1::StatArtifactRequest stat;
  stat.set_sha256(header.sha256());
  const auto known = client.StatArtifact(stat);
  if (!known.ok() && !absl::IsNotFound(known.status())) return {known.status(), false, 0};
  if (known.ok() && known->complete()) {
    // The content lies there: the header alone gives it this name. A server that finds it damaged
    // asks for all of it.
    auto named = client.PushArtifact(header, [] { return std::string(); });
    if (named.ok() || !absl::IsDataLoss(named.status())) return {std::move(named)};
  } else if (known.ok() && known->partial_bytes() <= header.size_bytes()) {
    header.set_offset(known->partial_bytes());
  }
  auto response = Send(console, client, path, header);
  // What was kept has gone meanwhile, or is of something else: then from the beginning.
  const bool bad_start =
      absl::IsDataLoss(response.status()) || absl::IsOutOfRange(response.status());
  if (header.offset() > 0 && bad_start) {
    header.set_offset(0);
    response = Send(console, client, path, header);
  }
  return {std::move(response), true, header.offset()};
}

}  // namespace

absl::StatusOr<PushOutcome> PushFile(Console& console, FarmClient& client,
                                     const PushOptions& options) {
  const auto readable = FileReader::Open(options.file, 0);
  if (!readable.ok()) return readable.status();
  const bool named_as_model = absl::EndsWithIgnoreCase(options.name, ".gguf");
  auto model =
      ReadClaimedModel(named_as_model ? options.name : options.file, options.file, options.file);
  if (!model.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("nothing was pushed: ", absl::string_view(model.status().message())));
  }
  const auto header = Hash(console, options);
  if (!header.ok()) return header.status();
  if (header->size_bytes() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("nothing was pushed: ", options.file, " is empty"));
  }
  PushOutcome outcome;
  outcome.model = *std::move(model);
  absl::Status status;
  bool reached = false;
  std::int64_t furthest = 0;
  for (int fruitless = 0; fruitless <= kTriesWithoutProgress; ++fruitless) {
    Try once = PushOnce(console, client, options.file, *header);
    if (once.response.ok()) {
      outcome.response = *std::move(once.response);
      outcome.resumed_bytes = once.resumed;
      return outcome;
    }
    status = once.response.status();
    if (absl::IsDataLoss(status)) {
      return absl::FailedPreconditionError(
          absl::StrCat("what arrived is not what was hashed: ", options.file,
                       " changed while it was pushed, or the connection is broken; push it again (",
                       absl::string_view(status.message()), ")"));
    }
    if (!IsTransient(status) || (!reached && !once.reached)) return status;
    if (!std::exchange(reached, true)) {
      console.err << "The controller went away in the middle; the push goes on when it is back."
                  << std::endl;
    }
    if (once.resumed > furthest) fruitless = 0;
    furthest = std::max(furthest, once.resumed);
    console.sleep(kBetweenTries);
    if (console.interrupted()) return absl::CancelledError("interrupted");
  }
  return status;
}

std::string ModelWords(const GgufInfo& model) {
  std::vector<std::string> words{OneLine(model.architecture)};
  if (!model.quantisation.empty()) words.push_back(model.quantisation);
  words.push_back(
      absl::StrCat(HumanCount(static_cast<std::int64_t>(model.parameter_count)), " parameters"));
  if (model.context_length) words.push_back(absl::StrCat("context ", *model.context_length));
  return absl::StrJoin(words, " · ");
}

}  // namespace joulefarm::cli
