module go-digest

go 1.22
