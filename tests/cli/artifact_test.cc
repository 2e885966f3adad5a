// `joulefarm artifact …` against a controller of our own, over real gRPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/gguf/gguf_writer.h"
#include "common/sha256/sha256.h"
#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"

namespace joulefarm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::ordered_json;

// A model with one tensor of 4 × `rows` elements.
std::string Model(std::uint64_t rows) {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddUint32("general.file_type", 1);
  writer.AddUint32("llama.context_length", 2048);
  writer.AddTensor("blk.0.attn.weight", {4, rows}, GgmlType::kF16);
  std::ostringstream out;
  EXPECT_TRUE(writer.WriteHeader(out).ok());
  const std::string data(rows * 8, 'w');
  EXPECT_TRUE(writer.AppendData(out, data.data(), data.size()).ok());
  return out.str();
}

class ArtifactCommands : public ::testing::Test {
 protected:
  ArtifactCommands()
      : cli_(farm_.address()),
        directory_(std::filesystem::temp_directory_path() /
                   ("jf-cli-artifact-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
  }
  ~ArtifactCommands() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name, const std::string& content) {
    const auto path = directory_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }
  static std::string ContentOf(const std::string& file) {
    std::ostringstream content;
    content << std::ifstream(file, std::ios::binary).rdbuf();
    return content.str();
  }

  FakeFarm farm_;
  CliRunner cli_;
  std::filesystem::path directory_;
};

TEST_F(ArtifactCommands, PushSendsPiecesNamesByStemAndSaysWhatTheModelSays) {
  const std::string content = Model(75'000);
  const std::string file = File("tiny-q8_0.gguf", content);
  CliOutcome outcome = cli_.Run({"artifact", "push", file});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("tiny-q8_0  " + Sha256Hex(content)));
  EXPECT_THAT(outcome.out, EndsWith("600 kB  llama · F16 · 300 k parameters · context 2048\n"));
  const auto pushed = farm_.pushed().at("tiny-q8_0");
  EXPECT_EQ(pushed.content, content);
  EXPECT_EQ(pushed.pieces, 3);
  // The same content under another name goes without the content.
  outcome = cli_.Run({"artifact", "push", file, "--name", "again"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("(was there already)"));
  EXPECT_EQ(farm_.pushed().at("again").pieces, 0);
}

TEST_F(ArtifactCommands, AnEmptyFileIsRefused) {
  const CliOutcome outcome = cli_.Run({"artifact", "push", File("empty", "")});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("nothing was pushed: "));
  EXPECT_THAT(outcome.err, HasSubstr("is empty"));
  EXPECT_EQ(farm_.pushed().count("empty"), 0u);
}

TEST_F(ArtifactCommands, PushErrors) {
  CliOutcome outcome = cli_.Run({"artifact", "push", (directory_ / "nothing").string()});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("No such file"));
  EXPECT_EQ(cli_.Run({"artifact", "push", directory_.string()}).exit, 2);
  farm_.FailPushesWith(absl::ResourceExhaustedError("the disk is full"));
  outcome = cli_.Run({"artifact", "push", File("a", "a")});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("the disk is full"));
  farm_.FailPushesWith(absl::DataLossError("hash mismatch"));
  outcome = cli_.Run({"artifact", "push", File("b", "b")});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("changed while it was pushed"));
}

TEST_F(ArtifactCommands, WhatIsNoModelIsRefusedBeforeAnythingIsSent) {
  const std::string model = Model(1000);
  struct Case {
    std::string file;
    std::string complaint;
  };
  std::string garbage = model;
  garbage.replace(garbage.find("blk.0"), 30, std::string(30, '\xff'));
  const std::vector<Case> cases{
      {File("empty.gguf", ""), "it is empty"},
      {File("page.gguf", "<!DOCTYPE html><html>"), "it looks like a web page"},
      {File("lfs.gguf", "version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"},
      {File("text.GGUF", "some text that is long enough"), "not a GGUF file: it begins with"},
      {File("cut.gguf", model.substr(0, model.size() - 1)),
       "truncated: tensor 'blk.0.attn.weight' ends at byte"},
      {File("cut-unnamed", model.substr(0, 40)), "truncated"},
      {File("garbage.gguf", garbage), "GGUF: "}};
  for (const Case& one : cases) {
    const CliOutcome outcome = cli_.Run({"artifact", "push", one.file});
    EXPECT_EQ(outcome.exit, 2) << one.file;
    EXPECT_THAT(outcome.err, HasSubstr("nothing was pushed: " + one.file +
                                       " is not the GGUF model it claims to be: "));
    EXPECT_THAT(outcome.err, HasSubstr(one.complaint));
  }
  EXPECT_THAT(farm_.push_offsets(), IsEmpty());
  // The name is a claim as well.
  EXPECT_EQ(cli_.Run({"artifact", "push", File("text", "text"), "--name", "x.gguf"}).exit, 2);
}

TEST_F(ArtifactCommands, ABrokenPushGoesOnWhereItStoppedOnceTheControllerIsBack) {
  farm_.BreakPushes(2);
  const std::string content(1'000'000, 'c');
  const CliOutcome outcome = cli_.Run({"artifact", "push", File("notes", content)});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, EndsWith("1.00 MB  (went on at 250 kB)\n"));
  EXPECT_THAT(outcome.err, HasSubstr("The controller went away in the middle"));
  EXPECT_THAT(farm_.push_offsets(), ElementsAre(0, 500'000, 250'000));
  EXPECT_EQ(farm_.pushed().at("notes").content, content);
  EXPECT_EQ(cli_.sleeps, 2);
}

TEST_F(ArtifactCommands, APushThatNeverGetsOnEndsWithTheControllersError) {
  farm_.FailPushesWith(absl::UnavailableError("cannot write the file: Input/output error"));
  const CliOutcome outcome = cli_.Run({"artifact", "push", File("notes", "content")});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("Input/output error"));
}

TEST_F(ArtifactCommands, TheBarIsDrawnOnATerminalOnly) {
  const std::string file = File("notes", std::string(3'000'000, 'c'));
  EXPECT_THAT(cli_.Run({"artifact", "push", file}).err, IsEmpty());
  cli_.terminal = true;
  cli_.now += std::chrono::seconds(1);
  const std::string err = cli_.Run({"artifact", "push", file, "--name", "b"}).err;
  EXPECT_THAT(err, HasSubstr("hashing  "));
  EXPECT_THAT(err, HasSubstr(" 8 %  262 kB of 3.00 MB"));
  EXPECT_THAT(err, HasSubstr("█"));
}

TEST_F(ArtifactCommands, DownloadIsVerified) {
  const std::string content(700'000, 'd');
  ASSERT_EQ(cli_.Run({"artifact", "push", File("notes", content)}).exit, 0);
  farm_.OnList([&](const v1::ListRequest& request) -> absl::StatusOr<Table> {
    EXPECT_EQ(request.id(), "notes");
    return Table{{{"name"}, {"sha256"}}, {{"notes", Sha256Hex(content)}}};
  });
  const std::string file = (directory_ / "copy").string();
  CliOutcome outcome = cli_.Run({"artifact", "get", "notes", "--download", file});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("(verified)"));
  EXPECT_TRUE(ContentOf(file) == content);
  EXPECT_FALSE(std::filesystem::exists(file + ".part"));

  farm_.Corrupt("notes");
  const std::string bad = (directory_ / "bad").string();
  outcome = cli_.Run({"artifact", "get", "notes", "--download", bad});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("what arrived is not the content"));
  EXPECT_FALSE(std::filesystem::exists(bad));
  EXPECT_FALSE(std::filesystem::exists(bad + ".part"));
  outcome = cli_.Run({"artifact", "get", "notes", "--download", file});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_TRUE(ContentOf(file) == content);

  outcome = cli_.Run({"artifact", "get", "notes", "--download", "/nonexistent/x"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write /nonexistent/x.part"));
}

TEST_F(ArtifactCommands, CollectingSaysWhatAndHowMuch) {
  v1::CollectArtifactsResponse offer;
  v1::StatArtifactResponse& old = *offer.add_removed();
  old.set_name("tiny");
  old.set_sha256(std::string(64, 'a'));
  old.set_size_bytes(25'000'000);
  old.set_complete(true);
  v1::StatArtifactResponse& part = *offer.add_removed();
  part.set_sha256(std::string(64, 'b'));
  part.set_partial_bytes(1'000'000);
  offer.set_freed_bytes(26'000'000);
  farm_.OfferForCollection(offer);

  CliOutcome outcome = cli_.Run({"artifact", "gc", "--dry-run", "--keep", "24h"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_TRUE(farm_.collection().dry_run());
  EXPECT_EQ(farm_.collection().keep_ns(), 86'400'000'000'000);
  EXPECT_THAT(outcome.out, HasSubstr("tiny  25.0 MB  aaaaaaaaaaaa  content"));
  EXPECT_THAT(outcome.out, HasSubstr("26.0 MB would be freed"));

  outcome = cli_.Run({"artifact", "gc", "-o", "json"});
  EXPECT_FALSE(farm_.collection().dry_run());
  EXPECT_EQ(farm_.collection().keep_ns(), 0);
  const Json rows = Json::parse(outcome.out);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1]["name"], nullptr);
  EXPECT_EQ(rows[1]["size_bytes"], 1'000'000);
  EXPECT_EQ(rows[1]["kind"], "remains");

  farm_.OfferForCollection({});
  EXPECT_THAT(cli_.Run({"artifact", "gc"}).out, StartsWith("Nothing to collect"));
  outcome = cli_.Run({"artifact", "gc", "--keep", "soon"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--keep: "));
}

}  // namespace
}  // namespace joulefarm::cli
