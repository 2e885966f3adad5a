#include <CLI/App.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/artifact_push.h"
#include "cli/commands/commands.h"
#include "cli/commands/transfer_meter.h"
#include "cli/output/part_file.h"
#include "cli/output/text.h"
#include "common/config/duration.h"
#include "common/sha256/sha256.h"
#include "common/text/no_such.h"

namespace joulefarm::cli {
namespace {

struct DownloadOptions {
  std::string artifact;
  std::string download;
  std::string format = "table";
};

struct CollectOptions {
  bool dry_run = false;
  std::string keep = "0s";
  std::string format = "table";
};

int RunPush(Session& session, const PushOptions& options) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  Console& console = session.console();
  const auto pushed = PushFile(console, **client, options);
  if (!pushed.ok()) return session.Fail(pushed.status());
  const v1::PushArtifactResponse& response = pushed->response;
  console.out << OneLine(response.name()) << "  " << response.sha256() << "  "
              << HumanBytes(response.size_bytes());
  if (pushed->model) console.out << "  " << ModelWords(*pushed->model);
  if (response.existing()) {
    console.out << "  (was there already)";
  } else if (pushed->resumed_bytes > 0) {
    console.out << "  (went on at " << HumanBytes(pushed->resumed_bytes) << ")";
  }
  console.out << '\n';
  return kExitOk;
}

// The hash and size of what is called so, or has that hash.
absl::StatusOr<v1::StatArtifactResponse> Find(FarmClient& client, const std::string& artifact) {
  v1::ListRequest request;
  request.set_listing(v1::LISTING_ARTIFACTS);
  request.set_id(artifact);
  request.set_limit(1);
  TableCollector found;
  if (const absl::Status listed = client.List(request, found); !listed.ok()) return listed;
  const Table& table = found.table();
  const auto* sha256 = table.rows.empty()
                           ? nullptr
                           : std::get_if<std::string>(&table.At(table.rows.front(), "sha256"));
  if (sha256 == nullptr) return absl::NotFoundError(NoSuch("artifact", artifact));
  v1::StatArtifactRequest stat;
  stat.set_sha256(*sha256);
  return client.StatArtifact(stat);
}

// Keeps the file only when every byte is right.
absl::Status Download(Console& console, FarmClient& client, const v1::StatArtifactResponse& what,
                      PartFile& file) {
  TransferMeter meter(console, "downloading", what.size_bytes());
  Sha256 sha;
  absl::Status status = client.FetchArtifact(what.sha256(), [&](absl::string_view data) {
    absl::Status written = file.Write(data);
    if (!written.ok()) return written;
    sha.Update(data);
    meter.At(file.size());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (sha.HexDigest() != what.sha256())
    return absl::DataLossError("what arrived is not the content: try again");
  return file.Keep();
}

int RunGetArtifact(Session& session, const DownloadOptions& options) {
  if (options.download.empty())
    return RunGet(session, ArtifactListing(), options.artifact, options.format);
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  const auto what = Find(**client, options.artifact);
  if (!what.ok()) return session.Fail(what.status());
  Console& console = session.console();
  console.catch_interrupt();
  const auto file = CreateFile(options.download);
  if (!file.ok()) return session.FailHere(file.status());
  if (const absl::Status done = Download(console, **client, *what, **file); !done.ok())
    return session.Fail(done);
  console.out << options.download << "  " << what->sha256() << "  "
              << HumanBytes(what->size_bytes()) << "  (verified)\n";
  return kExitOk;
}

// What went, or would go, as a table.
Table RemovedTable(const v1::CollectArtifactsResponse& response) {
  Table table;
  table.columns = {{"name"}, {"sha256"}, {"size_bytes", ColumnKind::kNumber}, {"kind"}};
  for (const v1::StatArtifactResponse& one : response.removed()) {
    RowValues row;
    row.push_back(one.name().empty() ? Value() : Value(one.name()));
    row.emplace_back(one.sha256());
    row.emplace_back(one.complete() ? one.size_bytes() : one.partial_bytes());
    row.emplace_back(std::string(one.complete() ? "content" : "remains"));
    table.rows.push_back(std::move(row));
  }
  return table;
}

int RunCollect(Session& session, const CollectOptions& options) {
  const auto keep_ns = ParseDuration(options.keep);
  if (!keep_ns.ok())
    return session.FailUsage(
        absl::StrCat("--keep: ", absl::string_view(keep_ns.status().message())));
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  v1::CollectArtifactsRequest request;
  request.set_dry_run(options.dry_run);
  request.set_keep_ns(*keep_ns);
  const auto response = (*client)->CollectArtifacts(request);
  if (!response.ok()) return session.Fail(response.status());
  Console& console = session.console();
  const Table table = RemovedTable(*response);
  const Format format = ParseFormat(options.format).value_or(Format::kTable);
  if (const auto printer = MakeMachinePrinter(format, console.out)) {
    printer->Begin(table.columns);
    for (const RowValues& row : table.rows) printer->Row(row);
    printer->End();
    return kExitOk;
  }
  if (table.rows.empty()) {
    console.out << "Nothing to collect: every content is some name's newest, or an unfinished job "
                   "needs it.\n";
    return kExitOk;
  }
  RenderView(CollectedView(), table, console.LookOfOut(), console.out);
  console.out << '\n'
              << HumanBytes(response->freed_bytes())
              << (options.dry_run ? " would be freed; without --dry-run they are."
                                  : " freed on the controller's disk.")
              << '\n';
  return kExitOk;
}

void AddGet(CLI::App& group, Session& session) {
  auto options = std::make_shared<DownloadOptions>();
  CLI::App* get = AddCommand(
      group, "get", "Everything known about one artifact, or its content",
      "  joulefarm artifact get tiny-q8_0\n"
      "  joulefarm artifact get tiny-q8_0 -o json\n"
      "  joulefarm artifact get 3f1c0a9b77de --download model.gguf",
      "ARTIFACT is a name (its newest content), a SHA-256, or its first 12 digits as listed. What "
      "is downloaded is checked\n"
      "against its hash before it gets its name.");
  get->add_option("ARTIFACT", options->artifact, "name or SHA-256")->required();
  get->add_option("--download", options->download, "write the content to this file")
      ->type_name("FILE");
  AddFormat(*get, options->format);
  get->callback([=, &session] {
    session.action = [=, &session] { return RunGetArtifact(session, *options); };
  });
}

void AddCollect(CLI::App& group, Session& session) {
  auto options = std::make_shared<CollectOptions>();
  CLI::App* collect = AddCommand(
      group, "gc", "Remove content that nothing needs any more",
      "  joulefarm artifact gc --dry-run\n"
      "  joulefarm artifact gc --keep 168h",
      "Stays: the newest content of every name, models of unfinished jobs, and whatever is being "
      "pushed or fetched now.\n"
      "Goes: content that another push of its name replaced, remains of interrupted pushes (after "
      "an hour) and damaged files.");
  collect->add_flag("--dry-run", options->dry_run, "only say what would go");
  collect->add_option("--keep", options->keep, "keep what was pushed within this time, as 24h")
      ->type_name("DURATION")
      ->default_str("0s");
  AddFormat(*collect, options->format);
  collect->callback(
      [=, &session] { session.action = [=, &session] { return RunCollect(session, *options); }; });
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
  CLI::App* push = AddCommand(
      *group, "push", "Store a file with the controller under a name",
      "  joulefarm artifact push models/tiny-q8_0.gguf\n"
      "  joulefarm artifact push prompts.jsonl --name chat-prompts",
      "A file called .gguf, or beginning like one, is checked before anything is sent. Content "
      "that "
      "is there already is not\n"
      "sent again; an interrupted push goes on where it stopped when it is given again. A name "
      "pushed again means the new\n"
      "content, for experiments submitted from then on.");
  push->add_option("FILE", push_options->file, "the file")->required();
  push->add_option("--name", push_options->name,
                   "how experiments name it; default: the file's name without its extension")
      ->type_name("NAME");
  push->callback([=, &session] {
    session.action = [=, &session] { return RunPush(session, *push_options); };
  });

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list =
      AddCommand(*group, "list", "List artifacts: name, size, what a model says of itself, content",
                 "  joulefarm artifact list -o name");
  AddListingOptions(*list, *options);
  list->add_option("--name", options->named["name"], "of this name")->type_name("NAME");
  list->callback([options, &session] {
    session.action = [options, &session] {
      return RunListing(session, ArtifactListing(), *options);
    };
  });
  AddGet(*group, session);
  AddCollect(*group, session);
}

}  // namespace joulefarm::cli
