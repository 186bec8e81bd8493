# Short names for what is done every day. The commands are in the README; this only saves typing.
.PHONY: build test ci run cluster publish format bench clean

build:
	dotnet build
test:
	dotnet test
ci:
	.ci/run
run:
	dotnet run --project Raft.Host
cluster:
	dotnet run --project Raft.Host -- --dev-cluster 3
publish:
	dotnet publish Raft.Host -c Release -o artifacts/raft-host
format:
	dotnet format
bench:
	dotnet run --project Raft.Bench -c Release
clean:
	dotnet clean
