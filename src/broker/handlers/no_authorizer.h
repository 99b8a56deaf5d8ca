// What Kafka answers where no authorizer is set up: everything is allowed, and there are no rules
// to ask for or to change. Constant.
#pragma once

#include <cstdint>

namespace onceflow::broker {

/// Sets of operations, a bit for each by Kafka's number of it.
inline constexpr std::int32_t kOperationRead = 1 << 3;
inline constexpr std::int32_t kOperationWrite = 1 << 4;
inline constexpr std::int32_t kOperationCreate = 1 << 5;
inline constexpr std::int32_t kOperationDelete = 1 << 6;
inline constexpr std::int32_t kOperationAlter = 1 << 7;
inline constexpr std::int32_t kOperationDescribe = 1 << 8;
inline constexpr std::int32_t kOperationClusterAction = 1 << 9;
inline constexpr std::int32_t kOperationDescribeConfigs = 1 << 10;
inline constexpr std::int32_t kOperationAlterConfigs = 1 << 11;
inline constexpr std::int32_t kOperationIdempotentWrite = 1 << 12;

/// Every operation that there is on each kind of thing.
inline constexpr std::int32_t kTopicOperations =
    kOperationRead | kOperationWrite | kOperationCreate | kOperationDelete | kOperationAlter |
    kOperationDescribe | kOperationDescribeConfigs | kOperationAlterConfigs;
inline constexpr std::int32_t kGroupOperations = kOperationRead | kOperationDelete |
                                                 kOperationDescribe | kOperationDescribeConfigs |
                                                 kOperationAlterConfigs;
inline constexpr std::int32_t kClusterOperations =
    kOperationCreate | kOperationAlter | kOperationDescribe | kOperationClusterAction |
    kOperationDescribeConfigs | kOperationAlterConfigs | kOperationIdempotentWrite;

inline constexpr const char* kNoAuthorizer = "No Authorizer is configured.";

}  // namespace onceflow::broker
