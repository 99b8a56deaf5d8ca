# Foreign libraries, all from Debian 12, and which layer links which. Who may include their headers
# is the law of tools/fences.txt; why each is here is told in docs/dependencies.md.

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(GTest REQUIRED)
find_library(ONCEFLOW_ISAL isal REQUIRED)
find_library(ONCEFLOW_LZ4 lz4 REQUIRED)
find_library(ONCEFLOW_ZSTD zstd REQUIRED)
find_library(ONCEFLOW_SNAPPY snappy REQUIRED)
find_library(ONCEFLOW_PQ pq REQUIRED)
find_path(ONCEFLOW_PQ_INCLUDE libpq-fe.h PATH_SUFFIXES postgresql REQUIRED)
find_library(ONCEFLOW_YAML yaml-cpp REQUIRED)
find_library(ONCEFLOW_SIMDJSON simdjson REQUIRED)
find_library(ONCEFLOW_RDKAFKA rdkafka)  # a peer in tests and benchmarks, never in the product

# Coroutines over Asio do not compile with Debian's default Boost 1.74.
find_package(Boost 1.81 REQUIRED)

set(ONCEFLOW_FOREIGN_base ${ONCEFLOW_ISAL} fmt::fmt)
set(ONCEFLOW_FOREIGN_io Boost::headers Threads::Threads OpenSSL::SSL OpenSSL::Crypto)
set(ONCEFLOW_FOREIGN_protocol ${ONCEFLOW_LZ4} ${ONCEFLOW_ZSTD} ${ONCEFLOW_SNAPPY} ZLIB::ZLIB)
set(ONCEFLOW_FOREIGN_connectors ${ONCEFLOW_PQ} SQLite::SQLite3)
set(ONCEFLOW_FOREIGN_pipeline ${ONCEFLOW_YAML} SQLite::SQLite3 ${ONCEFLOW_SIMDJSON})
set(ONCEFLOW_FOREIGN_audit ${ONCEFLOW_PQ} SQLite::SQLite3)
set(ONCEFLOW_FOREIGN_console Boost::headers)
