#include "cli/output/part_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;

class PartFiles : public ::testing::Test {
 protected:
  PartFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-part-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~PartFiles() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return (directory_ / name).string(); }
  std::string Read(const std::string& name) const {
    std::ifstream file(directory_ / name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::filesystem::path directory_;
};

TEST_F(PartFiles, AppearUnderTheirNameWhenTheyAreKept) {
  const std::string large(100'000, 'x');
  {
    const auto file = CreateFile(Path("a"));
    ASSERT_TRUE(file.ok()) << file.status();
    (*file)->stream() << "begin " << large << '\n';
    EXPECT_FALSE(std::filesystem::exists(Path("a")));
    EXPECT_EQ((*file)->path(), Path("a.part"));
    EXPECT_TRUE((*file)->Keep().ok());
    EXPECT_EQ((*file)->size(), 100'007);
  }
  EXPECT_EQ(Read("a"), "begin " + large + "\n");
  EXPECT_FALSE(std::filesystem::exists(Path("a.part")));
}

TEST_F(PartFiles, WhatIsNotKeptLeavesTheEarlierFile) {
  std::ofstream(Path("a")) << "earlier";
  {
    const auto file = CreateFile(Path("a"));
    ASSERT_TRUE(file.ok()) << file.status();
    (*file)->stream() << "new" << std::flush;
  }
  EXPECT_EQ(Read("a"), "earlier");
  EXPECT_FALSE(std::filesystem::exists(Path("a.part")));
}

TEST_F(PartFiles, AFileThatIsReplacedKeepsItsModeAndItsLink) {
  std::ofstream(Path("a")) << "earlier";
  ASSERT_EQ(chmod(Path("a").c_str(), 0600), 0);
  std::filesystem::create_symlink("a", directory_ / "link");
  ASSERT_TRUE(WriteFile(Path("link"), "new").ok());
  EXPECT_EQ(Read("a"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
  struct stat there {};
  ASSERT_EQ(stat(Path("a").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777, 0600u);
}

TEST_F(PartFiles, ADeviceIsWrittenToAndStays) {
  ASSERT_TRUE(WriteFile("/dev/null", "new").ok());
  struct stat there {};
  ASSERT_EQ(stat("/dev/null", &there), 0);
  EXPECT_TRUE(S_ISCHR(there.st_mode));
}

TEST_F(PartFiles, AFullDiskIsSaidWhenTheFileIsToBeKept) {
  const auto file = CreateFile("/dev/full");
  ASSERT_TRUE(file.ok()) << file.status();
  (*file)->stream() << std::string(100'000, 'x');
  EXPECT_FALSE((*file)->stream().good());
  const absl::Status kept = (*file)->Keep();
  EXPECT_TRUE(absl::IsResourceExhausted(kept)) << kept;
  EXPECT_THAT(std::string(kept.message()), HasSubstr("No space left on device: make room"));
}

TEST_F(PartFiles, WhereNothingCanBeWrittenIsSaidAtOnce) {
  EXPECT_THAT(std::string(CreateFile(Path("no/a")).status().message()),
              HasSubstr("cannot write " + Path("no/a.part") + ": No such file or directory: name"));
  EXPECT_THAT(std::string(CreateFile(directory_.string()).status().message()),
              HasSubstr("it is a directory, name a file in it"));
}

TEST_F(PartFiles, OneThatIsToStayStays) {
  const auto create = [&] { return PartFile::Create(Path("a"), PartFile::Existing::kKeep, 0640); };
  const auto file = create();
  ASSERT_TRUE(file.ok()) << file.status();
  std::ofstream(Path("a")) << "meanwhile";
  EXPECT_TRUE(absl::IsAlreadyExists((*file)->Keep()));
  EXPECT_TRUE(absl::IsAlreadyExists(create().status()));
  EXPECT_EQ(Read("a"), "meanwhile");
}

}  // namespace
}  // namespace joulefarm::cli
