// One PushArtifact call: the content to disk, what it says of itself into the database.
//
// Thread rule: gRPC calls back on its own threads; files are hashed, read and written on the pool.
// Ownership: deletes itself when gRPC is done with it; everything it is given outlives it.
#pragma once

#include "boost/asio/thread_pool.hpp"
#include "controller/artifacts/artifact_files.h"
#include "controller/farm_host.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"

namespace joulefarm::controller {

grpc::ServerReadReactor<v1::PushArtifactRequest>* NewPush(FarmHost& host, ArtifactFiles& files,
                                                          boost::asio::thread_pool& pool,
                                                          v1::PushArtifactResponse* response);

}  // namespace joulefarm::controller
