// JSON text for columns that hold small structures: reasons, labels, parameters, facts.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <string>
#include <vector>

#include "common/text/json_string.h"
#include "joulefarm/v1/job.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

// ["a","b"] of any range of strings.
template <typename Range>
std::string JsonArray(const Range& items) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += JsonString(item);
  }
  return out + "]";
}

// {"key":"value"} in order of key.
std::string JsonObject(const std::map<std::string, std::string>& entries);

// {"threads":2} in the order of the experiment file.
std::string JsonParams(const v1::JobSpec& spec);

// A message as an object of its fields by their proto names; absent fields and empty texts are
// null, enums are words, 64-bit numbers are numbers.
std::string JsonMessage(const google::protobuf::Message& message);

// [{…},{…}] of any range of messages.
template <typename Range>
std::string JsonMessages(const Range& messages) {
  std::string out = "[";
  for (const auto& message : messages) {
    if (out.size() > 1) out += ',';
    out += JsonMessage(message);
  }
  return out + "]";
}

// The inverse of JsonObject. False: not such an object.
bool ParseJsonObject(const std::string& json, std::map<std::string, std::string>& entries);

// The inverse of JsonMessage. False: not such a message.
bool ParseJsonMessage(const std::string& json, google::protobuf::Message& message);

// The inverse of JsonMessages. False: not such messages.
bool ParseJsonChannels(const std::string& json, std::vector<v1::ChannelInfo>& channels);

}  // namespace joulefarm::controller
