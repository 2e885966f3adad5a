// Style of the schema: comments, file names, enum values. Zero must mean "not said" everywhere.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/lint/sources.h"

namespace joulefarm::lint {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::SourceLocation;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// "JobState" as "JOB_STATE_".
std::string EnumPrefix(const std::string& name) {
  std::string prefix;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (i > 0 && absl::ascii_isupper(static_cast<unsigned char>(name[i]))) prefix += '_';
    prefix += absl::ascii_toupper(static_cast<unsigned char>(name[i]));
  }
  return prefix + "_";
}

bool IsSnake(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
  });
}

template <typename Thing>
bool HasComment(const Thing& thing) {
  SourceLocation location;
  return thing.GetSourceLocation(&location) &&
         (!location.leading_comments.empty() || !location.trailing_comments.empty());
}

class Checker {
 public:
  std::vector<std::string> Check(const FileDescriptor& file) {
    for (int i = 0; i < file.enum_type_count(); ++i) Check(*file.enum_type(i));
    for (int i = 0; i < file.message_type_count(); ++i) Check(*file.message_type(i));
    for (int i = 0; i < file.service_count(); ++i) Check(*file.service(i));
    return problems_;
  }

 private:
  void Say(const std::string& what, const std::string& rule) {
    problems_.push_back(absl::StrCat(what, ": ", rule));
  }

  void Check(const EnumDescriptor& type) {
    if (!HasComment(type)) Say(type.full_name(), "an enum has a comment");
    const std::string prefix = EnumPrefix(type.name());
    for (int i = 0; i < type.value_count(); ++i) {
      if (!absl::StartsWith(type.value(i)->name(), prefix)) {
        Say(type.value(i)->full_name(), absl::StrCat("a value begins with ", prefix));
      }
    }
    const auto* zero = type.FindValueByNumber(0);
    if (zero == nullptr || zero->name() != prefix + "UNSPECIFIED") {
      Say(type.full_name(), absl::StrCat("0 is ", prefix, "UNSPECIFIED"));
    }
  }

  void Check(const Descriptor& type) {
    if (type.options().map_entry()) return;
    if (!HasComment(type)) Say(type.full_name(), "a message has a comment");
    for (int i = 0; i < type.field_count(); ++i) Check(*type.field(i));
    for (int i = 0; i < type.nested_type_count(); ++i) Check(*type.nested_type(i));
    for (int i = 0; i < type.enum_type_count(); ++i) Check(*type.enum_type(i));
  }

  void Check(const FieldDescriptor& field) {
    const std::string& name = field.name();
    if (!IsSnake(name)) Say(field.full_name(), "a field is lower_snake_case");
    // Times and sizes are whole numbers with their unit in the name.
    if (absl::EndsWith(name, "_ns") && field.cpp_type() != FieldDescriptor::CPPTYPE_INT64) {
      Say(field.full_name(), "nanoseconds are int64");
    }
    if (absl::EndsWith(name, "_bytes") && field.cpp_type() != FieldDescriptor::CPPTYPE_INT64) {
      Say(field.full_name(), "sizes are int64");
    }
    for (const char* vague : {"_time", "_duration", "_timeout", "_size", "_power", "_energy"}) {
      const bool number = field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE &&
                          field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM &&
                          field.cpp_type() != FieldDescriptor::CPPTYPE_STRING;
      if (number && absl::EndsWith(name, vague)) Say(field.full_name(), "a number names its unit");
    }
  }

  void Check(const ServiceDescriptor& service) {
    if (!HasComment(service)) Say(service.full_name(), "a service has a comment");
    std::set<std::string> types;
    for (int i = 0; i < service.method_count(); ++i) {
      const auto& method = *service.method(i);
      if (!HasComment(method)) Say(method.full_name(), "an RPC says its errors in a comment");
      // A type of its own per direction, so that one can grow without the other.
      for (const Descriptor* type : {method.input_type(), method.output_type()}) {
        const bool shared = !types.insert(type->full_name()).second;
        if (shared && type->name() != "TableChunk") {
          Say(method.full_name(), absl::StrCat(type->name(), " is used by another RPC, too"));
        }
      }
    }
  }

  std::vector<std::string> problems_;
};

// Lets protoc read the files below `root`, with their comments.
std::vector<std::string> CheckSchema(const std::string& root,
                                     const std::vector<std::string>& files) {
  char out[] = "/tmp/jf_test_XXXXXX";
  if (mkdtemp(out) == nullptr) return {"no temporary folder"};
  const std::string set = absl::StrCat(out, "/set.pb");
  std::string command = absl::StrCat(JOULEFARM_PROTOC, " --include_source_info --include_imports",
                                     " --descriptor_set_out=", set, " -I", root);
  for (const std::string& file : files) absl::StrAppend(&command, " ", file);
  const int status = std::system(command.c_str());
  google::protobuf::FileDescriptorSet descriptors;
  const bool parsed = status == 0 && descriptors.ParseFromString(ReadFile(set));
  std::filesystem::remove_all(out);
  if (!parsed) return {absl::StrCat("protoc failed: ", command)};

  google::protobuf::DescriptorPool pool;
  std::vector<std::string> problems;
  for (const auto& file : descriptors.file()) {
    const FileDescriptor* descriptor = pool.BuildFile(file);
    if (descriptor == nullptr) return {file.name() + " cannot be built"};
    if (std::find(files.begin(), files.end(), file.name()) == files.end()) continue;
    for (std::string& problem : Checker().Check(*descriptor))
      problems.push_back(std::move(problem));
  }
  return problems;
}

TEST(ProtoStyleTest, TheSchemaKeepsTheStyle) {
  std::vector<std::string> files;
  for (const std::string& file : Files("proto", {".proto"})) {
    files.push_back(file.substr(std::string("proto/").size()));
  }
  ASSERT_GE(files.size(), 11U);
  EXPECT_THAT(CheckSchema((Root() / "proto").string(), files), IsEmpty());
}

TEST(ProtoStyleTest, TheCheckerCatchesWhatItIsFor) {
  char folder[] = "/tmp/jf_test_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  std::ofstream(std::filesystem::path(folder) / "bad.proto") << R"(syntax = "proto3";
package bad;
enum Color { RED = 0; COLOR_BLUE = 1; }
message Thing { int32 wait_ns = 1; double cpu_time = 2; string camelCase = 3; }
service Things { rpc Get(Thing) returns (Thing); }
)";
  const std::vector<std::string> problems = CheckSchema(folder, {"bad.proto"});
  std::filesystem::remove_all(folder);
  const std::string all = ::testing::PrintToString(problems);
  for (const char* part :
       {"bad.Color: an enum has a comment", "begins with COLOR_", "0 is COLOR_UNSPECIFIED",
        "bad.Thing: a message has a comment", "nanoseconds are int64", "a number names its unit",
        "lower_snake_case", "a service has a comment", "says its errors", "used by another RPC"}) {
    EXPECT_THAT(all, HasSubstr(part));
  }
}

}  // namespace
}  // namespace joulefarm::lint
