#include "controller/diagnose/diagnose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class DiagnoseTest : public testing::Test {
 protected:
  DiagnoseTest()
      : store_(OpenStore(dir_.File("farm.db"))),
        reader_(*Reader::Open(dir_.File("farm.db"))),
        files_(*ArtifactFiles::Open(dir_.path() / "artifacts")) {
    input_.version = "1.2.3";
    input_.database = dir_.File("farm.db");
  }

  // "LEVEL area: text" of every finding.
  std::vector<std::string> Findings() {
    std::vector<std::string> out;
    const v1::DiagnoseResponse response = Diagnose(input_, *reader_, *files_);
    for (const v1::Diagnosis& one : response.findings()) {
      const bool fine = one.level() == v1::DIAGNOSIS_LEVEL_OK;
      EXPECT_EQ(fine, one.cure().empty()) << one.text() << ": what is not well has a cure";
      const char* level = fine                                         ? "ok "
                          : one.level() == v1::DIAGNOSIS_LEVEL_WARNING ? "warning "
                                                                       : "broken ";
      out.push_back(absl::StrCat(level, one.area(), ": ", one.text()));
    }
    return out;
  }

  void AddAgent(const std::string& id, v1::DeviceLink link, const std::string& version) {
    Agent agent;
    agent.id = id;
    agent.link = link;
    agent.version = version;
    JF_EXPECT_OK(store_->Commit({agent}));
  }

  // A name for a content that is on the disk, or is not.
  void AddArtifact(const std::string& name, const std::string& content, bool stored) {
    Artifact artifact;
    artifact.name = name;
    artifact.sha256 = Sha256Hex(content);
    artifact.size_bytes = static_cast<std::int64_t>(content.size());
    artifact.format = "file";
    JF_EXPECT_OK(store_->Commit({artifact}));
    if (stored) std::ofstream(files_->PathOf(artifact.sha256)) << content;
  }

  TempDir dir_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<ArtifactFiles> files_;
  DiagnoseInput input_;
};

TEST_F(DiagnoseTest, AFreshFarmIsWellAndHasNoAgents) {
  const auto findings = Findings();
  EXPECT_THAT(findings, Contains("ok controller: joulefarm-controller 1.2.3 works and writes"));
  EXPECT_THAT(findings, Contains(HasSubstr("every page is sound")));
  EXPECT_THAT(findings, Contains("warning agent: no agent has ever connected: nothing can run"));
  EXPECT_THAT(findings, Not(Contains(HasSubstr("broken "))));
}

TEST_F(DiagnoseTest, AControllerThatCannotWriteIsBroken) {
  input_.read_only_reason = "the disk is full";
  EXPECT_THAT(Findings(), Contains("broken controller: the controller cannot write and takes no "
                                   "results: the disk is full"));
}

TEST_F(DiagnoseTest, AgentsThatAreAwayOrOfAnotherVersion) {
  AddAgent("a", v1::DEVICE_LINK_ONLINE, "1.2.3");
  EXPECT_THAT(Findings(), Contains("ok agent: all 1 online"));
  AddAgent("b", v1::DEVICE_LINK_OFFLINE, "1.2.3");
  AddAgent("c", v1::DEVICE_LINK_ONLINE, "1.0.0");
  const auto findings = Findings();
  EXPECT_THAT(findings, Contains("warning agent: 1 of 3 not online: b"));
  EXPECT_THAT(findings,
              Contains("warning agent: of another version than the controller (1.2.3): c (1.0.0)"));
}

TEST_F(DiagnoseTest, ArtifactsThatAreMissingOrOfTheWrongSize) {
  AddArtifact("good", "good content", true);
  EXPECT_THAT(Findings(), Contains("ok artifact: 1 artifact, each there in its size"));
  AddArtifact("gone", "lost", false);
  EXPECT_THAT(Findings(), Contains(HasSubstr("broken artifact: the content of gone is missing")));
}

TEST_F(DiagnoseTest, OnlyAThoroughLookReadsTheBytes) {
  AddArtifact("flipped", "content", true);
  std::ofstream(files_->PathOf(Sha256Hex("content"))) << "kontent";
  EXPECT_THAT(Findings(), Contains("ok artifact: 1 artifact, each there in its size"));
  input_.thorough = true;
  const auto findings = Findings();
  EXPECT_THAT(findings, Contains(HasSubstr("broken artifact: the content of flipped")));
  EXPECT_THAT(findings, Contains(HasSubstr("every page and index is sound")));
}

}  // namespace
}  // namespace joulefarm::controller
