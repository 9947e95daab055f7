module go-calls

go 1.22
