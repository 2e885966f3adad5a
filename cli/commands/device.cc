#include <CLI/App.hpp>

#include "cli/commands/commands.h"

namespace joulefarm::cli {

Listing DeviceListing() {
  return {v1::LISTING_DEVICES, "devices", [](const Table&) { return DeviceView(); }};
}

Listing ResourceListing() {
  return {v1::LISTING_RESOURCES, "resources", [](const Table&) { return ResourceView(); }};
}

Listing AgentListing() {
  return {v1::LISTING_AGENTS, "agents", [](const Table&) { return AgentView(); }};
}

void AddDevice(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "device", "The machines of the farm",
                             "  joulefarm device list\n"
                             "  joulefarm device list --link ONLINE -o name\n"
                             "  joulefarm device get edge-7f3a\n"
                             "  joulefarm device watch\n"
                             "  joulefarm device drain edge-7f3a --reason \"new battery\"");
  group->group("The farm");

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list = AddCommand(*group, "list",
                              "List devices: whether they can be reached, are free, and are well",
                              "  joulefarm device list --kind jetson -o wide");
  AddListingOptions(*list, *options);
  list->add_option("--link", options->named["link"], "ONLINE, UNKNOWN or OFFLINE")
      ->type_name("LINK");
  list->add_option("--kind", options->named["kind"], "phone, jetson, laptop, server or board")
      ->type_name("KIND");
  list->add_option("--agent", options->named["agent_id"], "of this agent")->type_name("AGENT");
  list->callback([options, &session] {
    session.action = [options, &session] { return RunListing(session, DeviceListing(), *options); };
  });

  auto id = std::make_shared<std::string>();
  auto format = std::make_shared<std::string>("table");
  CLI::App* get = AddCommand(*group, "get", "Everything known about one device",
                             "  joulefarm device get edge-7f3a -o json");
  get->add_option("DEVICE", *id, "device id")->required();
  AddFormat(*get, *format);
  get->callback([=, &session] {
    session.action = [=, &session] { return RunGet(session, DeviceListing(), *id, *format); };
  });

  AddDeviceWatch(*group, session);
  AddDeviceSet(*group, session);
}

void AddResource(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "resource", "Meters and switchable ports, leased together with devices",
               "  joulefarm resource list");
  group->group("The farm");

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list = AddCommand(*group, "list",
                              "List meters and ports: where they are, who has them, what is wrong",
                              "  joulefarm resource list --kind METER\n"
                              "  joulefarm resource list --link ONLINE -o json");
  AddListingOptions(*list, *options);
  list->add_option("--link", options->named["link"], "ONLINE, UNKNOWN or OFFLINE")
      ->type_name("LINK");
  list->add_option("--kind", options->named["kind"], "METER, PORT or RELAY")->type_name("KIND");
  list->add_option("--agent", options->named["agent_id"], "of this agent")->type_name("AGENT");
  list->callback([options, &session] {
    session.action = [options, &session] {
      return RunListing(session, ResourceListing(), *options);
    };
  });

  auto id = std::make_shared<std::string>();
  auto format = std::make_shared<std::string>("table");
  CLI::App* get = AddCommand(*group, "get", "Everything known about one meter or port",
                             "  joulefarm resource get meter:km003c:007965");
  get->add_option("RESOURCE", *id, "resource id")->required();
  AddFormat(*get, *format);
  get->callback([=, &session] {
    session.action = [=, &session] { return RunGet(session, ResourceListing(), *id, *format); };
  });
}

void AddAgent(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "agent", "The programs that run jobs on devices", "  joulefarm agent list");
  group->group("The farm");

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list = AddCommand(*group, "list", "List agents: link, version, when last heard",
                              "  joulefarm agent list\n"
                              "  joulefarm agent list --link OFFLINE -o json");
  AddListingOptions(*list, *options);
  list->add_option("--link", options->named["link"], "ONLINE, UNKNOWN or OFFLINE")
      ->type_name("LINK");
  list->callback([options, &session] {
    session.action = [options, &session] { return RunListing(session, AgentListing(), *options); };
  });

  auto id = std::make_shared<std::string>();
  auto format = std::make_shared<std::string>("table");
  CLI::App* get = AddCommand(*group, "get", "Everything known about one agent",
                             "  joulefarm agent get edge-7f3a");
  get->add_option("AGENT", *id, "agent id")->required();
  AddFormat(*get, *format);
  get->callback([=, &session] {
    session.action = [=, &session] { return RunGet(session, AgentListing(), *id, *format); };
  });
}

}  // namespace joulefarm::cli
